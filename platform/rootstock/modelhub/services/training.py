"""Training runs: start, cancel, follow."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from ml_core.training import ConfigError, TrainConfig
from rootstock.common.actors import Actor
from rootstock.jobs.services import job_cancel, job_create
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import ModelVersion, Snapshot, TrainingPoint, TrainingRun
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.versions import check_model_name
from rootstock.realtime.services import event_append

JOB_KIND = "modelhub.train"
QUEUE = "training"

# Options of ml_core.training.TrainConfig that a person may set; the others are ours to fill.
OPTIONS = (
    "base",
    "epochs",
    "batch_size",
    "gradient_accumulation",
    "learning_rate",
    "weight_decay",
    "warmup_ratio",
    "dropout",
    "max_length",
    "class_weighting",
    "early_stopping_patience",
    "languages",
    "seed",
)
# A base is the packaged model or a hub name. A path would reach other organisations' files.
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_BASE = re.compile(r"packaged|[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def training_start(
    *,
    snapshot: Snapshot,
    name: str,
    actor: Actor,
    config: Mapping[str, Any] | None = None,
    parent: ModelVersion | None = None,
    queue_job: bool = True,
) -> TrainingRun:
    """Start a training run on a snapshot; its result becomes the next version of `name` ("finance.sentiment").

    `config` holds options of `ml_core.training.TrainConfig` (see OPTIONS). With `parent` the run starts from that
    version's encoder instead of `base`. Without `queue_job` nothing starts by itself: the caller goes on with
    `rootstock.modelhub.runs.training_run_now`.

    Raises:
        ModelhubError: an option is unknown or out of range, or the name has another form.
    """
    check_model_name(name)
    options = check_config(config or {})
    if parent is not None and "base" in options:
        problem = _("Give a base or a parent version, not both.")
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": "/config/base", "detail": problem}]
        )
    lock_name("run", "number")
    last = TrainingRun.objects.aggregate(last=Max("number"))["last"] or 0
    run = TrainingRun.objects.create(
        name=name,
        number=last + 1,
        snapshot=snapshot,
        config=options,
        parent=parent,
        **authored(actor),
    )
    if queue_job:
        run.job = job_create(
            kind=JOB_KIND,
            title=_("Train %(name)s on %(snapshot)s") % {"name": name, "snapshot": snapshot},
            params={"run": str(run.pk)},
            actor=actor,
            queue=QUEUE,
        )
        run.save(update_fields=["job", "updated_at"])
    record(
        actor=actor,
        action="models.run.start",
        target=str(run),
        target_id=run.pk,
        changes={"snapshot": snapshot.content_hash, "config": options},
        event={"name": name, "number": run.number, "state": run.state},
    )
    return run


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
        run_ended(run=locked, state=TrainingRun.State.CANCELLED)
    record(
        actor=actor,
        action="models.run.cancel",
        target=str(locked),
        target_id=locked.pk,
        event={"name": locked.name, "state": locked.state},
    )
    return locked


def run_started(*, run: TrainingRun) -> None:
    """Mark a run as running; what an earlier, broken attempt left of a curve is dropped."""
    TrainingPoint.objects.filter(run=run).delete()
    run.state = TrainingRun.State.RUNNING
    run.attempts += 1
    run.phase, run.fraction, run.eta_seconds, run.log = "", 0.0, None, ""
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
) -> None:
    """Store what has happened since the last call, and tell the open pages."""
    TrainingPoint.objects.bulk_create(points)
    run.phase, run.fraction, run.eta_seconds, run.log = phase, fraction, eta_seconds, log
    run.save(update_fields=["phase", "fraction", "eta_seconds", "log", "updated_at"])
    _run_event(
        run,
        "run.progress",
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


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options as JSON values, checked by ml_core itself.

    Raises:
        ModelhubError: that names the option.
    """
    for key in config:
        if key not in OPTIONS:
            problem = _("Unknown option; there are: %(options)s.") % {"options": ", ".join(OPTIONS)}
            raise _bad_option(str(key), problem)
    base = config.get("base")
    if base is not None and not (isinstance(base, str) and _BASE.fullmatch(base)):
        raise _bad_option("base", _("Use “packaged” or the name of a model on the hub."))
    for key, value in config.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise _bad_option(key, _("This is no finite number."))
    languages = config.get("languages")
    if languages is not None and not (
        isinstance(languages, list) and all(_LANGUAGE.fullmatch(str(code)) for code in languages)
    ):
        raise _bad_option("languages", _("Give a list of language codes, such as en and zh."))
    try:
        checked = TrainConfig.from_mapping({"train": "train.jsonl", "out": "out", **config})
    except ConfigError as error:
        option = str(error).partition(":")[0]
        raise _bad_option(option if option in OPTIONS else "", str(error)) from error
    values = checked.to_dict()
    return {key: values[key] for key in config}


def _bad_option(option: str, problem: str) -> ModelhubError:
    pointer = f"/config/{option}".rstrip("/")
    return ModelhubError("invalid", problem, errors=[{"pointer": pointer, "detail": problem}])


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
