"""Training runs: start, cancel, follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from ml_core.training import training_options
from rootstock.common.actors import Actor
from rootstock.jobs.services import job_cancel, job_create
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import (
    Dataset,
    ModelVersion,
    Snapshot,
    TrainingFile,
    TrainingPoint,
    TrainingRun,
)
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.names import check_model_name
from rootstock.modelhub.training_settings import (
    Reference,
    bad_option,
    check_config,
    check_search,
    references,
)
from rootstock.realtime.services import event_append

JOB_KIND = "modelhub.train"
QUEUE = "training"

SEARCH_KIND = "modelhub.search"
TOGETHER_KIND = "modelhub.together"


def training_start(
    *,
    snapshot: Snapshot,
    name: str,
    actor: Actor,
    config: Mapping[str, Any] | None = None,
    parent: ModelVersion | None = None,
    goes_on: bool = False,
    space: Mapping[str, Any] | None = None,
    trials: int = 0,
    queue_job: bool = True,
) -> TrainingRun:
    """Start a training run on a snapshot; its result becomes the next version of `name` ("finance.sentiment").

    `config` holds options of `ml_core.training.TrainConfig` (see `training_settings`). With `parent` the run starts
    from that version's encoder instead of `base`; with `goes_on` from the version as it is, its labels and last layer
    included, and what it forgets on earlier snapshots is measured. With `space` it is a search: `trials` models with
    options drawn from it are trained, and the best becomes the version. Without `queue_job` nothing starts by itself:
    the caller goes on with `rootstock.modelhub.runs.training_run_now`.

    Raises:
        ModelhubError: an option is unknown or out of range, names a row that is not there, or the name has another
            form.
    """
    check_model_name(name)
    task = snapshot.dataset.task
    options = check_config(config or {}, task=task)
    check_references(options, snapshot)
    _check_parent(options, parent, task, goes_on=goes_on)
    tried = check_search(space, trials, task=task) if space is not None else {}
    lock_name("run", "number")
    last = TrainingRun.objects.aggregate(last=Max("number"))["last"] or 0
    run = TrainingRun.objects.create(
        name=name,
        number=last + 1,
        snapshot=snapshot,
        config=options,
        parent=parent,
        goes_on=goes_on,
        space=tried,
        trial_count=trials if tried else 0,
        **authored(actor),
    )
    if queue_job:
        run_queue([run], actor)
    record(
        actor=actor,
        action="models.run.start",
        target=str(run),
        target_id=run.pk,
        changes={"snapshot": snapshot.content_hash, "config": options}
        | ({"space": tried, "trials": trials} if tried else {}),
        event={"name": name, "number": run.number, "state": run.state},
    )
    return run


def training_resume(*, run: TrainingRun, actor: Actor) -> TrainingRun:
    """Take up a run that failed or was stopped; it goes on from its last checkpoint, if that is still there.

    Raises:
        Conflict: it has not ended, or ended well.
    """
    locked = (
        TrainingRun.objects.select_for_update(of=("self",))
        .select_related("job", "snapshot__dataset")
        .get(pk=run.pk)
    )
    if locked.current_state not in (TrainingRun.State.FAILED, TrainingRun.State.CANCELLED):
        raise Conflict("run-not-stopped", _("Only a run that failed or was stopped can go on."))
    group = run_group(locked)
    for each in group:
        each.state = TrainingRun.State.QUEUED
        each.error = each.error_code = ""
        each.finished_at = None
        each.save()
    run_queue(group, actor)
    record(
        actor=actor,
        action="models.run.resume",
        target=str(locked),
        target_id=locked.pk,
        event={"name": locked.name, "number": locked.number, "state": locked.state},
    )
    return locked


def training_cancel(*, run: TrainingRun, actor: Actor) -> TrainingRun:
    """Ask a run to stop; a queued one ends at once, a running one within seconds.

    Raises:
        Conflict: it has ended already.
    """
    locked = (
        TrainingRun.objects.select_for_update(of=("self",)).select_related("job").get(pk=run.pk)
    )
    if locked.ended:
        raise Conflict(
            "run-ended",
            _("This run has ended already (%(state)s).") % {"state": locked.current_state_label},
        )
    job = locked.job
    if job is not None and not job.finished:
        job = job_cancel(job.pk)
    # A run in a worker's hands is closed by the worker, once its process is gone.
    if job is None or job.finished:
        for each in run_group(locked):
            run_ended(run=each, state=TrainingRun.State.CANCELLED)
    record(
        actor=actor,
        action="models.run.cancel",
        target=str(locked),
        target_id=locked.pk,
        event={"name": locked.name, "state": locked.state},
    )
    return locked


def run_started(*, run: TrainingRun) -> None:
    """Mark a run as running; its curve and log stay, an earlier attempt may have left a checkpoint to go on from."""
    run.state = TrainingRun.State.RUNNING
    run.attempts += 1
    run.phase, run.fraction, run.eta_seconds = "", 0.0, None
    run.started_at = timezone.now()
    run.save()
    _run_event(run, "run.state")


def run_progressed(
    *,
    run: TrainingRun,
    phase: str,
    fraction: float,
    eta_seconds: float | None,
    points: Sequence[TrainingPoint],
    log: str,
    begins_at: int | None = None,
) -> None:
    """Store what has happened since the last call, and tell the open pages.

    `begins_at` is the first step of this attempt: what an earlier one had drawn from there on is dropped.
    """
    if begins_at is not None:
        TrainingPoint.objects.filter(run=run, step__gte=begins_at).delete()
    TrainingPoint.objects.bulk_create(points)
    run.phase, run.fraction, run.eta_seconds, run.log = phase, fraction, eta_seconds, log
    run.save(
        update_fields=[
            "phase",
            "fraction",
            "eta_seconds",
            "log",
            "headline",
            "trials",
            "updated_at",
        ]
    )
    _run_event(
        run,
        "run.progress",
        headline=run.headline,
        trials=len(run.trials),
        points=[
            {"step": p.step, "epoch": p.epoch, "loss": p.loss, "metrics": p.metrics} for p in points
        ],
    )


def run_ended(
    *,
    run: TrainingRun,
    state: str,
    error_code: str = "",
    error: str = "",
    log: str | None = None,
    peak_memory_mb: int | None = None,
) -> None:
    """Close a run."""
    run.state, run.error_code, run.error = state, error_code, error
    run.eta_seconds = None
    run.finished_at = timezone.now()
    if state == TrainingRun.State.SUCCEEDED:
        run.fraction = 1.0
    if log is not None:
        run.log = log
    if peak_memory_mb is not None:
        run.peak_memory_mb = peak_memory_mb
    run.save()
    _run_event(run, "run.state", error=error)


def run_group(run: TrainingRun) -> list[TrainingRun]:
    """The runs that train one encoder with this one, itself among them as it is in memory; itself where it is alone."""
    if run.together is None:
        return [run]
    rows = (
        TrainingRun.objects.filter(together=run.together)
        .select_related("snapshot__dataset", "parent", "job")
        .order_by("number")
    )
    return [run if each.pk == run.pk else each for each in rows]


def run_queue(runs: Sequence[TrainingRun], actor: Actor) -> None:
    """Give a run, or all that train one encoder, a job."""
    first = runs[0]
    names = ", ".join(run.name for run in runs)
    if first.together is not None:
        kind, params = TOGETHER_KIND, {"together": str(first.together)}
        title = _("Train together: %(names)s") % {"names": names}
    else:
        words = (
            _("Search options of %(name)s on %(snapshot)s")
            if first.is_search
            else _("Train %(name)s on %(snapshot)s")
        )
        kind, params = SEARCH_KIND if first.is_search else JOB_KIND, {"run": str(first.pk)}
        title = words % {"name": first.name, "snapshot": first.snapshot}
    job = job_create(kind=kind, title=title[:200], params=params, actor=actor, queue=QUEUE)
    for run in runs:
        run.job = job
        run.save(update_fields=["job", "updated_at"])


def check_references(config: Mapping[str, Any], snapshot: Snapshot) -> None:
    """Refuse what names no row of the organisation, or one that does not fit."""
    for option, named in references(config).items():
        for each in named:
            problem = _reference_problem(option, each, snapshot)
            if problem:
                raise bad_option(option, problem)


def _reference_problem(option: str, named: Reference, snapshot: Snapshot) -> str:
    if named.kind == "file":
        file = TrainingFile.objects.filter(pk=named.pk).first()
        if file is None:
            return _("There is no such file.")
        return "" if file.option == option else _("This file was uploaded for another option.")
    if named.kind == "dataset":
        found = Dataset.objects.filter(pk=named.pk).exists()
        return "" if found else _("There is no such data set.")
    earlier = Snapshot.objects.select_related("dataset").filter(pk=named.pk).first()
    if earlier is None:
        return _("There is no such snapshot.")
    if earlier.dataset.task != snapshot.dataset.task:
        return _("This snapshot is of another task.")
    return ""


def _check_parent(
    config: Mapping[str, Any], parent: ModelVersion | None, task: str, *, goes_on: bool
) -> None:
    if parent is None:
        if goes_on:
            raise _bad("goes_on", _("Name the version to go on from."))
        return
    if "base" in config:
        raise bad_option("base", _("Give a base or a parent version, not both."))
    if goes_on:
        if parent.task != task:
            raise _bad("parent", _("A version of another task cannot be gone on from."))
        previous = next(each for each in training_options() if each.name == "previous")
        if previous.tasks is not None and task not in previous.tasks:
            raise _bad(
                "goes_on",
                _("This task can start from a version's encoder, but not go on from all of it."),
            )


def _bad(place: str, problem: str) -> ModelhubError:
    return ModelhubError("invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}])


def _run_event(run: TrainingRun, kind: str, **more: Any) -> None:
    event_append(
        stream="models",
        type=kind,
        payload={
            "id": str(run.pk),
            "name": run.name,
            "number": run.number,
            "state": run.state,
            "phase": run.phase,
            "fraction": round(run.fraction, 4),
            "eta_seconds": run.eta_seconds,
            "attempts": run.attempts,
            **more,
        },
    )
