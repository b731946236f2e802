"""Several heads trained on one encoder: a run for each, started, stopped and taken up together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext as _

from ml_core.training import ConfigError, TrainConfig, check_together
from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import ModelVersion, Snapshot, Task, TrainingRun
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.names import check_model_name
from rootstock.modelhub.services.training import check_references, run_queue
from rootstock.modelhub.training_settings import bad_option, check_config, settable_options

# Those whose model is a layer on the states of an encoder that reads a text.
TASKS = (
    Task.TEXT_CLASSIFICATION,
    Task.MULTI_LABEL_CLASSIFICATION,
    Task.TOKEN_CLASSIFICATION,
    Task.SPAN_CLASSIFICATION,
)
MOST_HEADS = 12


@dataclass(frozen=True)
class Head:
    """What one head learns from, the name of its versions, and the options that are its own."""

    snapshot: Snapshot
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)


def together_start(
    *,
    heads: Sequence[Head],
    actor: Actor,
    config: Mapping[str, Any] | None = None,
    parent: ModelVersion | None = None,
    queue_job: bool = True,
) -> list[TrainingRun]:
    """Start a run for each head; they train one encoder, and each becomes the next version of its name.

    `config` holds options for all; one that only some tasks have is for the heads that have it. With `parent` they
    start from that version's encoder instead of `base`. Without `queue_job` nothing starts by itself: the caller goes
    on with `rootstock.modelhub.together.together_now`.

    Raises:
        ModelhubError: fewer than two heads, the same name twice, a task that cannot share, or an option that is
            unknown, out of range, or cannot be shared.
    """
    if not 2 <= len(heads) <= MOST_HEADS:
        raise _bad(
            "heads",
            _("From 2 to %(most)d models can be trained together.") % {"most": MOST_HEADS},
        )
    _check_heads(heads)
    given = config or {}
    if parent is not None and "base" in given:
        raise bad_option("base", _("Give a base or a parent version, not both."))
    options = [_options(head, given, place) for place, head in enumerate(heads)]
    _check_sharing(heads, options, given)
    for head, own in zip(heads, options, strict=True):
        check_references(own, head.snapshot)
    lock_name("run", "number")
    last = TrainingRun.objects.aggregate(last=Max("number"))["last"] or 0
    together = uuid7()
    runs = [
        TrainingRun.objects.create(
            name=head.name,
            number=last + place,
            snapshot=head.snapshot,
            config=own,
            parent=parent,
            together=together,
            **authored(actor),
        )
        for place, (head, own) in enumerate(zip(heads, options, strict=True), start=1)
    ]
    if queue_job:
        run_queue(runs, actor)
    for run in runs:
        record(
            actor=actor,
            action="models.run.start",
            target=str(run),
            target_id=run.pk,
            changes={
                "snapshot": run.snapshot.content_hash,
                "config": run.config,
                "together": [str(each) for each in runs],
            },
            event={"name": run.name, "number": run.number, "state": run.state},
        )
    return runs


def _check_heads(heads: Sequence[Head]) -> None:
    seen: set[str] = set()
    for place, head in enumerate(heads):
        check_model_name(head.name)
        if head.name in seen:
            raise _bad(
                f"heads/{place}/name", _("Two models of one name cannot be trained together.")
            )
        seen.add(head.name)
        if head.snapshot.dataset.task not in TASKS:
            raise _bad(
                f"heads/{place}/snapshot",
                _("Models of this task cannot share their encoder: %(task)s.")
                % {"task": head.snapshot.dataset.get_task_display()},
            )


def _options(head: Head, given: Mapping[str, Any], place: int) -> dict[str, Any]:
    """The checked options of a head: those for all that its task has, and its own."""
    task = head.snapshot.dataset.task
    everywhere = {option.name for option in settable_options()}
    own = {option.name for option in settable_options(task)}
    for_it = {name: value for name, value in given.items() if name in own or name not in everywhere}
    checked = check_config(for_it, task=task)
    try:
        return checked | check_config(head.config, task=task)
    except ModelhubError as error:
        errors = [{**each, "pointer": f"/heads/{place}{each['pointer']}"} for each in error.errors]
        raise ModelhubError(error.code, error.message, errors=errors) from error


def _check_sharing(
    heads: Sequence[Head], options: Sequence[Mapping[str, Any]], given: Mapping[str, Any]
) -> None:
    """Let ml_core say what cannot be shared; files have a placeholder, which is one all the same."""
    try:
        check_together(
            [
                TrainConfig.from_mapping(
                    {
                        "task": head.snapshot.dataset.task,
                        "train": "train.jsonl",
                        "out": head.name,
                        **own,
                    }
                )
                for head, own in zip(heads, options, strict=True)
            ]
        )
    except ConfigError as error:
        name = str(error).partition(":")[0]
        if name in given:
            raise bad_option(name, str(error)) from error
        raise _bad("heads", str(error)) from error


def _bad(place: str, problem: str) -> ModelhubError:
    return ModelhubError("invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}])
