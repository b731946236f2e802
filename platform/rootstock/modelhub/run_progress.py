"""Where a run is: the progress file of its process read on, told to the job, and stored with curve, log and trials."""

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

from rootstock.modelhub.models import TrainingPoint, TrainingRun
from rootstock.modelhub.services.training import run_progressed
from rootstock.modelhub.training_process import log_tail
from rootstock.tenancy.scope import organisation_scope

# Phases in the order in which they come, and the part of the whole at which each begins. Training steps fill theirs.
PHASES = {
    "prepare": (gettext_noop("Prepare the data"), 0.0),
    "load": (gettext_noop("Load the base model"), 0.02),
    "tokenise": (gettext_noop("Read the texts"), 0.05),
    "pretrain": (gettext_noop("Train ahead"), 0.07),
    "train": (gettext_noop("Train"), 0.07),
    "evaluate": (gettext_noop("Evaluate"), 0.07),
    "save": (gettext_noop("Save the model"), 0.92),
    "test": (gettext_noop("Evaluate on the test part"), 0.94),
    "register": (gettext_noop("Register the version"), 0.99),
}
SEARCH = gettext_noop("Search")
_STEPS = frozenset({"pretrain", "train", "evaluate"})
_BEGIN, _END = PHASES["train"][1], PHASES["save"][1]
# Where the training begins when something was learned before it.
_AFTER_PRETRAINING = 0.4
_STORE_SECONDS = 1.0
_PROGRESS_FILE = "progress.jsonl"
# Of the log of earlier attempts.
_KEPT_CHARACTERS = 20_000

# (fraction of the whole, phase in English, message)
OnProgress = Callable[[float, str, str], None]


class Cancelled(Exception):
    """The run was ended by somebody else; also for a progress function to raise."""


def organisation_of(run: TrainingRun) -> uuid.UUID:
    """The run's organisation; every row has one, whatever the type of the column's default says."""
    return uuid.UUID(str(run.organisation_id))


def run_directory(run_id: uuid.UUID) -> Path:
    """Where a run keeps its checkpoints, files and logs while it goes on."""
    return Path(settings.VAR) / "training" / str(run_id)


class Follower:
    """Reads the progress file of the process and passes on what is new: curve points, phase, log."""

    def __init__(self, run: TrainingRun, on_progress: OnProgress) -> None:
        self.run = run
        self.home = run_directory(run.pk)
        self.directory = self.home / f"attempt-{run.attempts}"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.progress_file = self.directory / _PROGRESS_FILE
        # Of a search: where ml_core lists its trials.
        self.trials_file: Path | None = None
        self._on_progress = on_progress
        self._read_to = 0
        self._stored_at = 0.0
        self._points: list[TrainingPoint] = []
        self._begins_at: int | None = None
        self._begun = False
        self._train_begin = _BEGIN
        self._phase = "prepare"
        self._fraction = 0.0
        self._eta: float | None = None
        self._message = ""
        self._lines: list[str] = []
        if run.attempts > 1:
            self._lines = [run.log[-_KEPT_CHARACTERS:]] if run.log else []
            self.note(f"Attempt {run.attempts}")

    def take_up(self) -> None:
        """Store what the processes of earlier attempts told and their workers, killed perhaps, did not store.

        It may be done again, after a death in the middle of it: no point is stored twice.
        """
        for directory in sorted(self.home.glob("attempt-*"), key=_number):
            if directory == self.directory:
                continue
            points = [] if self.run.is_search else self._points_of(directory / _PROGRESS_FILE)
            for point in points:
                if point.metrics:
                    self._name_headline(point.metrics)
            self._points = self._unstored(points)
            if self._points:
                self._begins_at = self._points[0].step
                self._store()
            shutil.rmtree(directory, ignore_errors=True)

    def enter(self, phase: str) -> None:
        """Begin a phase that the process does not report itself."""
        self.note(PHASES[phase][0])
        self._phase, self._fraction = phase, max(self._fraction, PHASES[phase][1])
        self._eta, self._message = None, ""
        self._store()
        self._tell()

    def tick(self) -> None:
        """Look for news; called twice a second."""
        for line in self._new_lines():
            self._take(json.loads(line))
        if time.monotonic() - self._stored_at >= _STORE_SECONDS:
            self._take_trials()
            self._store()
        self._tell()

    def begin_again(self) -> None:
        """Expect another process, which writes its progress file anew."""
        self.progress_file.unlink(missing_ok=True)
        self._read_to = 0

    def log(self) -> str:
        """What was done and measured, then the end of what the process wrote itself."""
        return "\n".join([*self._lines, log_tail(self.directory)]).strip()

    def note(self, text: str) -> None:
        """Write a line into the log."""
        self._lines.append(f"{timezone.now():%H:%M:%S} UTC  {text}")

    def store_rest(self) -> None:
        """Store the points that came after the last tick, whatever became of the run."""
        for line in self._new_lines():
            self._take(json.loads(line))
        self._take_trials()
        self._write()

    def _points_of(self, file: Path) -> list[TrainingPoint]:
        """The points of a progress file, up to where the death of its process or machine cut it short."""
        points: list[TrainingPoint] = []
        if not file.is_file():
            return points
        for line in file.read_bytes().splitlines():
            try:
                progress = json.loads(line)
            except ValueError:
                break
            point = self._point(progress)
            if point is not None:
                points.append(point)
        return points

    def _unstored(self, points: list[TrainingPoint]) -> list[TrainingPoint]:
        """The points from the first step on of which not all are stored."""
        if not points:
            return points
        with organisation_scope(organisation_of(self.run)):
            rows = self.run.points.filter(step__gte=points[0].step).order_by("step", "id")
            stored = list(rows.values_list("step", "loss", "metrics"))
        same = 0
        for point, row in zip(points, stored, strict=False):
            if (point.step, point.loss, point.metrics) != row:
                break
            same += 1
        while 0 < same < len(points) and points[same - 1].step == points[same].step:
            same -= 1
        return points[same:]

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
        if phase != self._phase and (phase not in _STEPS or phase == "pretrain"):
            self.note(PHASES[phase][0])
        if progress["metrics"]:
            self._note_metrics(progress)
        self._phase = phase
        self._message = f"{step:,} / {total:,}" if total else ""
        self._eta = progress["eta_seconds"]
        if self.run.is_search:
            self._place_in_search(step, total)
            return
        self._fraction = max(self._fraction, self._place(phase, step, total))
        point = self._point(progress)
        if point is None:
            return
        if not self._begun:
            self._begun, self._begins_at = True, step
        self._points.append(point)

    def _point(self, progress: dict[str, Any]) -> TrainingPoint | None:
        """What is drawn of a line of progress: the loss of the training itself, or an evaluation."""
        loss = progress["loss"] if progress["phase"] == "train" else None
        if loss is None and not progress["metrics"]:
            return None
        return TrainingPoint(
            organisation_id=self.run.organisation_id,
            run=self.run,
            step=progress["step"],
            epoch=progress["epoch"],
            loss=loss,
            metrics=progress["metrics"],
        )

    def _place(self, phase: str, step: int, total: int) -> float:
        done = step / total if total else 0.0
        if phase == "pretrain":
            self._train_begin = _AFTER_PRETRAINING
            return _BEGIN + (_AFTER_PRETRAINING - _BEGIN) * done
        if phase in _STEPS:
            return self._train_begin + (_END - self._train_begin) * done
        return PHASES[phase][1]

    def _place_in_search(self, step: int, total: int) -> None:
        done = sum(trial["state"] != "running" for trial in self.run.trials)
        within = step / total if total else 0.0
        share = min(1.0, (done + min(within, 0.99)) / self.run.trial_count)
        self._fraction = max(self._fraction, _BEGIN + (_END - _BEGIN) * share)
        # Its own estimate is of one trial.
        self._eta = None
        self._message = f"{min(done + 1, self.run.trial_count)} / {self.run.trial_count}"

    def _note_metrics(self, progress: dict[str, Any]) -> None:
        metrics = progress["metrics"]
        figures = "  ".join(f"{key} {value:.4f}" for key, value in metrics.items())
        self.note(f"epoch {progress['epoch']:g}: {figures}")
        self._name_headline(metrics)

    def _name_headline(self, metrics: dict[str, float]) -> None:
        if not self.run.headline:
            # The order of a progress report: accuracy may come first, the figure that counts comes before the loss.
            names = [name for name in metrics if name not in {"loss", "accuracy"}]
            self.run.headline = names[0] if names else "accuracy"

    def _take_trials(self) -> None:
        if self.trials_file is None or not self.trials_file.is_file():
            return
        try:
            trials = json.loads(self.trials_file.read_text(encoding="utf-8"))
        except ValueError:
            return  # half written; it is read again next time
        for trial in trials[len(self.run.trials) :]:
            if trial["score"] is not None:
                self.note(f"trial {trial['number'] + 1}: {trial['score']:.4f} ({trial['state']})")
        self.run.trials = trials

    def _store(self) -> None:
        with organisation_scope(organisation_of(self.run)):
            state = TrainingRun.objects.values_list("state", flat=True).get(pk=self.run.pk)
        if state != TrainingRun.State.RUNNING:
            raise Cancelled
        self._write()

    def _write(self) -> None:
        with organisation_scope(organisation_of(self.run)):
            run_progressed(
                run=self.run,
                phase=self._phase,
                fraction=self._fraction,
                eta_seconds=self._eta,
                points=self._points,
                log=self.log(),
                begins_at=self._begins_at,
            )
        self._points, self._begins_at = [], None
        self._stored_at = time.monotonic()

    def _tell(self) -> None:
        phase = SEARCH if self.run.is_search and self._phase in _STEPS else PHASES[self._phase][0]
        self._on_progress(self._fraction, phase, self._message)


def _number(directory: Path) -> int:
    """Of a directory "attempt-3": 3."""
    return int(directory.name.rpartition("-")[2])
