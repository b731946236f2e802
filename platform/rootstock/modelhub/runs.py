"""One training run from its snapshot to a registered version. The job and the command line both come here."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from ml_core.registry import Artifact, ArtifactError
from rootstock.common.actors import Actor
from rootstock.modelhub.models import ModelVersion, Split, TrainingPoint, TrainingRun
from rootstock.modelhub.services.training import run_ended, run_progressed, run_started
from rootstock.modelhub.services.versions import version_register
from rootstock.modelhub.storage import (
    StorageProblem,
    absolute_path,
    local_artifact,
    relative_path,
)
from rootstock.modelhub.training_process import TrainingFailed, log_tail, run_command
from rootstock.tenancy.scope import organisation_scope

# Phases in the order in which they come, and the part of the whole at which each begins. Training steps fill theirs.
PHASES = {
    "prepare": (gettext_noop("Prepare the data"), 0.0),
    "load": (gettext_noop("Load the base model"), 0.02),
    "tokenise": (gettext_noop("Read the texts"), 0.05),
    "pretrain": (gettext_noop("Read the unlabelled texts"), 0.07),
    "train": (gettext_noop("Train"), 0.07),
    "evaluate": (gettext_noop("Evaluate"), 0.07),
    "save": (gettext_noop("Save the model"), 0.92),
    "test": (gettext_noop("Evaluate on the test part"), 0.94),
    "register": (gettext_noop("Register the version"), 0.99),
}
_TRAIN_PART = PHASES["save"][1] - PHASES["train"][1]
_STORE_SECONDS = 1.0

# (fraction of the whole, phase in English, message)
OnProgress = Callable[[float, str, str], None]


class Cancelled(Exception):
    """The run was ended by somebody else; also for a progress function to raise."""


def execute_run(
    *,
    organisation_id: uuid.UUID,
    run_id: uuid.UUID,
    on_progress: OnProgress,
    cancelled_by: tuple[type[BaseException], ...] = (),
) -> dict[str, Any]:
    """Train, evaluate and register; returns {"version", "label"}. Call it outside any transaction.

    It may be called again for a run whose worker died: a model that was saved is registered, less than that done anew.
    `on_progress` is called at least once a second; an exception of `cancelled_by` that it raises ends the run as
    cancelled, any other leaves it running for the next attempt. Both stop the training process.

    Raises:
        TrainingFailed: with a message for people, which the run has stored.
    """
    run = _begin(organisation_id, run_id)
    if run is None:
        return {}
    follower = _Follower(run, on_progress)
    stops: tuple[type[BaseException], ...] = (Cancelled, *cancelled_by)
    try:
        artifact_path, peak = _train(run, follower)
        reports = _evaluate(run, artifact_path, follower)
        follower.enter("register")
        return _finish(run, artifact_path, reports, peak, follower.log())
    except TrainingFailed as error:
        _end(run, TrainingRun.State.FAILED, follower, code=error.code, message=str(error))
        raise
    except stops:
        _end(run, TrainingRun.State.CANCELLED, follower)
        raise
    finally:
        shutil.rmtree(follower.directory, ignore_errors=True)


def training_run_now(run: TrainingRun, on_progress: OnProgress | None = None) -> ModelVersion:
    """Carry out a run that was started with `queue_job=False`, here and now; returns its version.

    Without `on_progress` a bar is shown when standard error is a terminal. Call it outside any transaction: it opens
    short ones of its own.

    Raises:
        TrainingFailed: with a message for people.
    """
    from tqdm import tqdm

    with tqdm(total=100, disable=None if on_progress is None else True, unit="%") as bar:

        def show(fraction: float, phase: str, message: str) -> None:
            bar.set_description_str(phase)
            bar.n = round(fraction * 100)
            bar.set_postfix_str(message)
            if on_progress is not None:
                on_progress(fraction, phase, message)

        result = execute_run(
            organisation_id=_organisation(run),
            run_id=run.pk,
            on_progress=show,
            cancelled_by=(KeyboardInterrupt,),
        )
    with organisation_scope(_organisation(run)):
        return ModelVersion.objects.get(pk=result["version"])


class _Follower:
    """Reads the progress file of the process and passes on what is new: curve points, phase, log."""

    def __init__(self, run: TrainingRun, on_progress: OnProgress) -> None:
        self.run = run
        self.directory = Path(settings.VAR) / "training" / f"{run.pk}-{run.attempts}"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.progress_file = self.directory / "progress.jsonl"
        self._on_progress = on_progress
        self._read_to = 0
        self._stored_at = 0.0
        self._points: list[TrainingPoint] = []
        self._phase = "prepare"
        self._fraction = 0.0
        self._eta: float | None = None
        self._message = ""
        self._lines: list[str] = []

    def enter(self, phase: str) -> None:
        """Begin a phase that the process does not report itself."""
        self._note(PHASES[phase][0])
        self._phase, self._fraction = phase, PHASES[phase][1]
        self._eta, self._message = None, ""
        self._store()
        self._tell()

    def tick(self) -> None:
        """Look for news; called twice a second."""
        for line in self._new_lines():
            self._take(json.loads(line))
        if time.monotonic() - self._stored_at >= _STORE_SECONDS:
            self._store()
        self._tell()

    def log(self) -> str:
        """What was done and measured, then the end of what the process wrote itself."""
        return "\n".join([*self._lines, log_tail(self.directory)]).strip()

    def _note(self, text: str) -> None:
        self._lines.append(f"{timezone.now():%H:%M:%S} UTC  {text}")

    def store_rest(self) -> None:
        """Store the points that came after the last tick."""
        for line in self._new_lines():
            self._take(json.loads(line))
        self._store()

    def _new_lines(self) -> list[str]:
        if not self.progress_file.is_file():
            return []
        with self.progress_file.open("rb") as file:
            file.seek(self._read_to)
            # The last line may be half written; it is read again next time.
            whole, _, _ = file.read().rpartition(b"\n")
        if whole:
            self._read_to += len(whole) + 1
        return whole.decode().splitlines()

    def _take(self, progress: dict[str, Any]) -> None:
        phase, step, total = progress["phase"], progress["step"], progress["total_steps"]
        if phase != self._phase and phase not in {"train", "evaluate"}:
            self._note(PHASES[phase][0])
        if progress["metrics"]:
            figures = "  ".join(f"{key} {value:.4f}" for key, value in progress["metrics"].items())
            self._note(f"epoch {progress['epoch']:g}: {figures}")
        self._phase = phase
        self._fraction = PHASES[phase][1]
        if phase in {"train", "evaluate"} and total:
            self._fraction += _TRAIN_PART * step / total
        self._eta = progress["eta_seconds"]
        self._message = f"{step:,} / {total:,}" if total else ""
        loss = progress["loss"] if phase == "train" else None
        if loss is not None or progress["metrics"]:
            self._points.append(
                TrainingPoint(
                    organisation_id=self.run.organisation_id,
                    run=self.run,
                    step=step,
                    epoch=progress["epoch"],
                    loss=loss,
                    metrics=progress["metrics"],
                )
            )

    def _store(self) -> None:
        with organisation_scope(_organisation(self.run)):
            state = TrainingRun.objects.values_list("state", flat=True).get(pk=self.run.pk)
            if state != TrainingRun.State.RUNNING:
                raise Cancelled
            run_progressed(
                run=self.run,
                phase=self._phase,
                fraction=self._fraction,
                eta_seconds=self._eta,
                points=self._points,
                log=self.log(),
            )
        self._points = []
        self._stored_at = time.monotonic()

    def _tell(self) -> None:
        self._on_progress(self._fraction, PHASES[self._phase][0], self._message)


def _organisation(run: TrainingRun) -> uuid.UUID:
    """The run's organisation; every row has one, whatever the type of the column's default says."""
    return uuid.UUID(str(run.organisation_id))


def _begin(organisation_id: uuid.UUID, run_id: uuid.UUID) -> TrainingRun | None:
    with organisation_scope(organisation_id):
        run = (
            TrainingRun.objects.select_for_update(of=("self",))
            .select_related("snapshot__dataset", "parent")
            .get(pk=run_id)
        )
        if run.ended:
            return None
        run_started(run=run)
        return run


def _train(run: TrainingRun, follower: _Follower) -> tuple[str, int]:
    """The stored path of the saved artefact, and the peak memory of the process in MB."""
    path = relative_path(_organisation(run), "versions", str(run.pk))
    target = absolute_path(path)
    try:
        Artifact.open(target)
    except ArtifactError:
        # Not there, or half of something: an earlier attempt left nothing of use.
        shutil.rmtree(target, ignore_errors=True)
    else:
        return path, run.peak_memory_mb or 0
    follower.enter("prepare")
    snapshot = absolute_path(run.snapshot.path)
    config = run.config | {
        "train": str(snapshot / f"{Split.TRAIN}.jsonl"),
        "validation": str(snapshot / f"{Split.VALIDATION}.jsonl"),
        "task": run.snapshot.dataset.task,
        "out": str(target),
    }
    if run.parent is not None:
        try:
            config["base"] = str(local_artifact(run.parent.artifact_path, run.parent.digest))
        except StorageProblem as error:
            raise TrainingFailed("artifact", str(error)) from error
    source = follower.directory / "config.yaml"
    # JSON is YAML; a name with a colon needs no quoting rules then.
    source.write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    ended = run_command(
        ["train", "--config", str(source), "--progress-file", str(follower.progress_file)],
        directory=follower.directory,
        memory_mb=settings.TRAINING_MEMORY_MB,
        tick=follower.tick,
    )
    follower.store_rest()
    return path, ended.peak_memory_mb


def _evaluate(run: TrainingRun, artifact_path: str, follower: _Follower) -> dict[str, Any]:
    """Reports by part. The part that says most (test, when there is one) has its confusion matrix and worst errors."""
    artifact = Artifact.open(absolute_path(artifact_path), verify=False)
    follower.enter("test")
    part = Split.TEST if run.snapshot.label_counts[Split.TEST] else Split.VALIDATION
    data = absolute_path(run.snapshot.path) / f"{part}.jsonl"
    ended = run_command(
        ["evaluate", str(artifact.path), "--data", str(data)],
        directory=follower.directory,
        memory_mb=settings.TRAINING_MEMORY_MB,
        tick=follower.tick,
    )
    report = json.loads(ended.output.strip().splitlines()[-1])
    return {"validation": artifact.manifest.metrics} | {str(part): report}


def _finish(
    run: TrainingRun, artifact_path: str, reports: dict[str, Any], peak: int, log: str
) -> dict[str, Any]:
    with organisation_scope(_organisation(run)):
        version = version_register(
            name=run.name,
            artifact_path=artifact_path,
            actor=Actor(run.actor_kind, run.actor_id, run.actor_label),  # type: ignore[arg-type]
            snapshot=run.snapshot,
            run=run,
            parent=run.parent,
            metrics=reports,
        )
        run_ended(run=run, state=TrainingRun.State.SUCCEEDED, log=log, peak_memory_mb=peak or None)
    return {"version": str(version.pk), "label": version.label}


def _end(
    run: TrainingRun, state: str, follower: _Follower, *, code: str = "", message: str = ""
) -> None:
    with organisation_scope(_organisation(run)):
        run_ended(run=run, state=state, error_code=code, error=message, log=follower.log())
