"""One turn of the loop: collect, read the collected text, train on one encoder, check, deploy.

Each step is a job of its own; `cycle_advance` looks what has ended and begins what comes next, so that no worker waits
and a worker's death costs nothing but the step's own attempt. `cycle_run_now` takes the same steps here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import Any, Final

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.finance_sentiment.inference import EVENT, NER, SENTIMENT
from apps.finance_sentiment.models import LoopCycle, LoopHead
from apps.finance_sentiment.selectors.labels import MODELS
from apps.finance_sentiment.selectors.loop import (
    LESSON_TASKS,
    heads_of,
    labels_new,
    labels_of,
    lesson_dataset,
    settings_get,
)
from apps.finance_sentiment.services.loop.teaching import (
    labels_collect,
    labels_freeze,
    text_collect,
    text_freeze,
)
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.jobs.services import job_cancel, job_create
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.evaluations import execute_gate
from rootstock.modelhub.models import ModelVersion, TrainingRun
from rootstock.modelhub.runs import training_run_now
from rootstock.modelhub.selectors import deployment_get, gate_report_current
from rootstock.modelhub.services import (
    Head,
    gate_start,
    together_start,
    training_cancel,
    training_start,
    version_promote,
)
from rootstock.modelhub.services.events import authored
from rootstock.modelhub.together import together_now
from rootstock.modelhub.training_process import TrainingFailed
from rootstock.modelhub.training_settings import check_config
from rootstock.outbox.services import outbox_write
from rootstock.realtime.services import event_append
from rootstock.tenancy.scope import organisation_scope

TOPIC: Final = "finance.loop.advance"
JOB: Final = "finance.loop.collect"
STREAM: Final = "finance.loop"
ENCODER: Final = "finance.encoder"
QUEUE: Final = "training"
# How often it is looked whether a step has ended.
LOOK: Final = timedelta(seconds=5)
# Options of a cycle, with those of the settings.
OPTIONS: Final = ("adapts", "adapt_documents", "base", "epochs", "deploys")
COLLECT = gettext_noop("collecting labels")
FREEZE = gettext_noop("freezing data sets")
# Heads that no labels are given for, but that read with the same encoder.
_COMPANIONS: Final = (EVENT, NER)
_MOST_TOKENS: Final = 128
# (fraction of the step, phase in English, message)
OnProgress = Callable[[float, str, str], None]
State = LoopCycle.State
Outcome = LoopHead.Outcome


def cycle_start(
    *, actor: Actor, options: dict[str, Any] | None = None, queue_job: bool = True
) -> LoopCycle:
    """Begin a turn with the organisation's settings and, over them, `options`.

    Without `queue_job` nothing starts by itself: the caller goes on with `cycle_run_now`.

    Raises:
        Problem: 409, one is under way, or nobody has said anything yet; 422, there is no such base.
    """
    if LoopCycle.objects.exclude(state__in=LoopCycle.ENDED).exists():
        raise Problem(409, "cycle-under-way", _("A cycle is under way already."))
    standing = labels_of()
    if not standing:
        raise Problem(409, "no-labels", _("Nobody has labelled a document yet."))
    settings = settings_get()
    base_check((options or {}).get("base"))
    chosen = {name: getattr(settings, name) for name in OPTIONS}
    chosen |= {key: value for key, value in (options or {}).items() if value is not None}
    last = LoopCycle.objects.aggregate(last=Max("number"))["last"] or 0
    new = labels_new()
    cycle = LoopCycle.objects.create(
        number=last + 1,
        options=chosen | {"queued": queue_job},
        label_count=standing,
        new_labels=new,
        **authored(actor),
    )
    if queue_job:
        cycle.job = job_create(
            JOB,
            title=_("Collect labels for cycle %(number)d") % {"number": cycle.number},
            params={"cycle": str(cycle.pk)},
            actor=actor,
            queue=QUEUE,
        )
        cycle.save(update_fields=["job", "updated_at"])
        _look_again(cycle)
    audit_record(
        actor=actor,
        action="finance.loop.start",
        target=str(cycle.number),
        target_id=str(cycle.pk),
        changes={"labels": standing, "new_labels": new, "options": chosen},
    )
    _tell(cycle)
    return cycle


def base_check(base: str | None) -> None:
    """Refuse what is no name of a base model; empty is none.

    Raises:
        Problem: 422, with what is allowed.
    """
    if not base:
        return
    try:
        check_config({"base": base}, task="text-classification")
    except ModelhubError as error:
        pointer = [{"pointer": "/base", "detail": error.message}]
        raise Problem(422, "invalid", error.message, errors=pointer) from error


def cycle_collect(
    *, cycle: LoopCycle, scope: Callable[[], AbstractContextManager[Any]], on_progress: OnProgress
) -> int:
    """Collect what people said, and freeze a data set for each model; returns how many there are.

    Outside of any transaction: `scope` opens short ones. It may be called again.
    """
    actor = _actor(cycle)
    for place, question in enumerate(LESSON_TASKS):
        on_progress(place / len(LESSON_TASKS), COLLECT, question)
        with scope():
            if not labels_of(question) and lesson_dataset(question) is None:
                continue
            dataset, _added = labels_collect(question=question, actor=actor)
            head = _head(cycle, MODELS[question], question)
            try:
                head.snapshot, head.note = labels_freeze(dataset=dataset, actor=actor), ""
            except ModelhubError as error:
                head.snapshot, head.note = None, error.message
            head.save()
    on_progress(0.95, FREEZE, "")
    with scope():
        for name in _COMPANIONS:
            deployment = deployment_get(name)
            if deployment is not None and deployment.version.snapshot is not None:
                head = _head(cycle, name, "")
                head.snapshot = deployment.version.snapshot
                head.save()
        return cycle.heads.filter(snapshot__isnull=False).count()


def cycle_advance(*, cycle_id: uuid.UUID | str) -> None:
    """Look what has ended, and begin what comes next. Inside a scope, in one transaction."""
    cycle = LoopCycle.objects.select_for_update(of=("self",)).filter(pk=cycle_id).first()
    if cycle is None or cycle.ended or cycle.state == State.WAITING:
        return
    before = cycle.state
    try:
        _STEPS[State(cycle.state)](cycle)
    except (ModelhubError, _StepFailed) as error:
        _end(cycle, State.FAILED, str(error))
    if not cycle.ended and cycle.state != State.WAITING:
        _look_again(cycle)
    if cycle.state != before:
        _tell(cycle)


def cycle_run_now(*, cycle: LoopCycle, on_progress: OnProgress) -> LoopCycle:
    """Take every step of a cycle that was started with `queue_job=False` here. Outside of any transaction."""
    organisation = _organisation(cycle)

    def fresh() -> LoopCycle:
        with organisation_scope(organisation):
            cycle_advance(cycle_id=cycle.pk)
            return LoopCycle.objects.select_related("adapt_run").get(pk=cycle.pk)

    cycle_collect(
        cycle=cycle, scope=lambda: organisation_scope(organisation), on_progress=on_progress
    )
    with organisation_scope(organisation):
        cycle.options = {**cycle.options, "collected": True}
        cycle.save(update_fields=["options", "updated_at"])
    now = fresh()
    while not now.ended and now.state != State.WAITING:
        with organisation_scope(organisation):
            heads = heads_of(now)
        # The run has stored why, and the next look ends the cycle with it.
        with suppress(TrainingFailed):
            _step_now(now, heads, on_progress)
        now = fresh()
    return now


def cycle_deploy(*, cycle: LoopCycle, actor: Actor) -> LoopCycle:
    """Let the versions that the gate has passed answer from now on.

    Raises:
        Problem: 409, the cycle does not wait for this.
    """
    locked = _waiting(cycle)
    _deploy(locked, heads_of(locked), actor)
    _end(locked, State.DONE)
    _record(actor, "deploy", locked)
    _tell(locked)
    return locked


def cycle_close(*, cycle: LoopCycle, actor: Actor) -> LoopCycle:
    """Leave what is deployed as it is.

    Raises:
        Problem: 409, the cycle does not wait for this.
    """
    locked = _waiting(cycle)
    _end(locked, State.DONE)
    _record(actor, "close", locked)
    _tell(locked)
    return locked


def cycle_cancel(*, cycle: LoopCycle, actor: Actor) -> LoopCycle:
    """Stop a cycle and what workers do for it.

    Raises:
        Problem: 409, it has ended.
    """
    locked = LoopCycle.objects.select_for_update(of=("self",)).get(pk=cycle.pk)
    if locked.ended:
        raise Problem(409, "cycle-ended", _("This cycle has ended already."))
    for job in (locked.job, *(head.job for head in heads_of(locked))):
        if job is not None and not job.finished:
            job_cancel(job.pk)
    runs = [locked.adapt_run, *[head.run for head in heads_of(locked)][:1]]
    for run in runs:
        if run is not None and not run.ended:
            training_cancel(run=run, actor=actor)
    _end(locked, State.CANCELLED)
    _record(actor, "cancel", locked)
    _tell(locked)
    return locked


# --- the steps ---------------------------------------------------------------------------------


class _StepFailed(Exception):
    """Why a step failed, in words for people."""


def _collected(cycle: LoopCycle) -> None:
    if cycle.job is not None and not cycle.job.finished:
        return
    if cycle.job is not None and cycle.job.state != "succeeded":
        raise _StepFailed(cycle.job.error or _("The labels could not be collected."))
    if cycle.job is None and not cycle.options.get("collected"):
        return
    if not any(head.snapshot for head in heads_of(cycle)):
        notes = " ".join(head.note for head in heads_of(cycle))
        raise _StepFailed(notes or _("There is nothing to learn from."))
    if cycle.options["adapts"]:
        _adapt(cycle)
    else:
        _train(cycle)


def _adapt(cycle: LoopCycle) -> None:
    """Continued pretraining on the collected text (Gururangan et al. 2020)."""
    actor = _actor(cycle)
    dataset = text_collect(most=cycle.options["adapt_documents"], actor=actor)
    snapshot = text_freeze(dataset=dataset, actor=actor)
    cycle.document_count = snapshot.example_count
    config = {"epochs": 1.0, "max_length": _MOST_TOKENS, **_base(cycle)}
    cycle.adapt_run = training_start(
        snapshot=snapshot,
        name=ENCODER,
        actor=actor,
        config=config,
        parent=_parent(cycle),
        queue_job=cycle.options["queued"],
    )
    _enter(cycle, State.ADAPTING)


def _adapted(cycle: LoopCycle) -> None:
    run = cycle.adapt_run
    if run is not None and not run.ended:
        return
    version = _version_of(run)
    if version is None:
        raise _StepFailed((run.current_error if run else "") or _("The encoder was not trained."))
    cycle.encoder = version
    _train(cycle)


def _train(cycle: LoopCycle) -> None:
    actor, queued = _actor(cycle), cycle.options["queued"]
    heads = [(head, head.snapshot) for head in heads_of(cycle) if head.snapshot is not None]
    parent = cycle.encoder or _parent(cycle)
    config: dict[str, Any] = {"epochs": cycle.options["epochs"], "max_length": _MOST_TOKENS}
    if cycle.encoder is None:
        config |= _base(cycle)
    if len(heads) == 1:
        ((only, snapshot),) = heads
        runs = [
            training_start(
                snapshot=snapshot,
                name=only.model,
                actor=actor,
                config=config,
                parent=parent,
                queue_job=queued,
            )
        ]
    else:
        runs = together_start(
            heads=[Head(snapshot, head.model) for head, snapshot in heads],
            actor=actor,
            config=config,
            parent=parent,
            queue_job=queued,
        )
    for (head, _snapshot), run in zip(heads, runs, strict=True):
        head.run = run
        head.save(update_fields=["run", "updated_at"])
    _enter(cycle, State.TRAINING)


def _trained(cycle: LoopCycle) -> None:
    heads = [(head, head.run) for head in heads_of(cycle) if head.run is not None]
    if not all(run.ended for _head, run in heads):
        return
    actor = _actor(cycle)
    for head, run in heads:
        head.version = _version_of(run)
        if head.version is None:
            raise _StepFailed(run.current_error or _("The models were not trained."))
        if cycle.options["queued"]:
            head.job = gate_start(version=head.version, deployment=head.model, actor=actor)
        head.save(update_fields=["version", "job", "updated_at"])
    _enter(cycle, State.CHECKING)


def _checked(cycle: LoopCycle) -> None:
    heads = [head for head in heads_of(cycle) if head.version is not None]
    if any(head.job is not None and not head.job.finished for head in heads):
        return
    for head in heads:
        head.report = gate_report_current(head.version, head.model) if head.version else None
        if head.report is None and head.job is None:
            return
        passed = head.report is not None and head.report.passed
        head.outcome = Outcome.PASSED if passed else Outcome.REFUSED
        if head.report is None and head.job is not None:
            head.note = head.job.error or _("The checks could not be made.")
        head.save(update_fields=["report", "outcome", "note", "updated_at"])
    if not any(head.outcome == Outcome.PASSED for head in heads):
        _end(cycle, State.DONE)
    elif cycle.options["deploys"]:
        _deploy(cycle, heads, _actor(cycle))
        _end(cycle, State.DONE)
    else:
        _enter(cycle, State.WAITING)


_STEPS: Final[dict[State, Callable[[LoopCycle], None]]] = {
    State.COLLECTING: _collected,
    State.ADAPTING: _adapted,
    State.TRAINING: _trained,
    State.CHECKING: _checked,
}


def _deploy(cycle: LoopCycle, heads: list[LoopHead], actor: Actor) -> None:
    for head in heads:
        if head.outcome != Outcome.PASSED or head.version is None:
            continue
        try:
            version_promote(
                version=head.version,
                actor=actor,
                deployment=head.model,
                reason=_("Cycle %(number)d of the loop.") % {"number": cycle.number},
            )
        except ModelhubError as error:
            # Somebody deployed another one meanwhile, and the gate now says no.
            head.note = error.message
        else:
            head.outcome = Outcome.DEPLOYED
        head.save(update_fields=["outcome", "note", "updated_at"])


def _step_now(cycle: LoopCycle, heads: list[LoopHead], on_progress: OnProgress) -> None:
    """What a worker would do at this moment."""
    if cycle.state == State.ADAPTING and cycle.adapt_run is not None:
        training_run_now(cycle.adapt_run, on_progress)
    elif cycle.state == State.TRAINING:
        runs = [head.run for head in heads if head.run is not None]
        if len(runs) == 1:
            training_run_now(runs[0], on_progress)
        else:
            together_now(runs, on_progress)
    elif cycle.state == State.CHECKING:
        for head in heads:
            if head.version is not None:
                execute_gate(
                    organisation_id=_organisation(cycle),
                    version_id=head.version.pk,
                    deployment=head.model,
                    actor=_actor(cycle),
                    on_progress=on_progress,
                )


# --- helpers -----------------------------------------------------------------------------------


def _head(cycle: LoopCycle, model: str, question: str) -> LoopHead:
    found = LoopHead.objects.filter(cycle=cycle, model=model).first()
    return found or LoopHead(cycle=cycle, model=model, question=question)


def _base(cycle: LoopCycle) -> dict[str, str]:
    return {"base": cycle.options["base"]} if cycle.options["base"] else {}


def _parent(cycle: LoopCycle) -> ModelVersion | None:
    """Whose encoder is gone on from: that of the deployed sentiment model, unless a base is named."""
    deployment = None if cycle.options["base"] else deployment_get(SENTIMENT)
    return deployment.version if deployment is not None else None


def _version_of(run: TrainingRun | None) -> ModelVersion | None:
    return ModelVersion.objects.filter(run=run).first() if run is not None else None


def _organisation(cycle: LoopCycle) -> uuid.UUID:
    return uuid.UUID(str(cycle.organisation_id))


def _actor(cycle: LoopCycle) -> Actor:
    return Actor(cycle.actor_kind, cycle.actor_id, cycle.actor_label)  # type: ignore[arg-type]


def _waiting(cycle: LoopCycle) -> LoopCycle:
    locked: LoopCycle = LoopCycle.objects.select_for_update(of=("self",)).get(pk=cycle.pk)
    if locked.state != State.WAITING:
        raise Problem(409, "cycle-not-waiting", _("This cycle does not wait for a decision."))
    return locked


def _enter(cycle: LoopCycle, state: str) -> None:
    cycle.state = state
    cycle.save()


def _end(cycle: LoopCycle, state: str, error: str = "") -> None:
    cycle.state, cycle.error, cycle.finished_at = state, error, timezone.now()
    cycle.save()


def _look_again(cycle: LoopCycle) -> None:
    if cycle.options["queued"]:
        outbox_write(
            TOPIC,
            {"cycle": str(cycle.pk)},
            available_at=timezone.now() + LOOK,
            coalesce_key=str(cycle.pk),
        )


def _tell(cycle: LoopCycle) -> None:
    """Tell the open pages; last in a transaction."""
    event_append(STREAM, "cycle.changed", {"id": str(cycle.pk), "state": cycle.state})


def _record(actor: Actor, what: str, cycle: LoopCycle) -> None:
    audit_record(
        actor=actor,
        action=f"finance.loop.{what}",
        target=str(cycle.number),
        target_id=str(cycle.pk),
    )
