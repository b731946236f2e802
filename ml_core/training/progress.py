"""How a training run tells its caller where it is, and how it ends early."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

_REPORT_SECONDS = 0.5

Phase = Literal["load", "tokenise", "pretrain", "train", "evaluate", "save"]


class TrainingCancelled(Exception):
    """The caller asked to stop; nothing was saved."""


class TrainingError(Exception):
    """The run itself went wrong, with what to change."""


@dataclass(frozen=True)
class Progress:
    """A moment of a training run.

    ``step`` of ``total_steps`` counts optimiser steps over all epochs, of an ensemble those of all
    trainings; ``epoch`` is in parts of an epoch (1.5: halfway through the second) and goes on in the
    same way; ``loss`` is the mean training loss since the last
    report; ``metrics`` come with the end of an ``evaluate`` phase; ``eta_seconds`` assumes that no
    early stop comes.
    """

    phase: Phase
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    metrics: dict[str, float] | None = None
    eta_seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Reporter:
    """Passes progress on, not too often, and asks at each turn whether to stop."""

    def __init__(
        self, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> None:
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._progress = Progress("load")
        self._reported_at = 0.0

    def report(self, phase: Phase, **changes: Any) -> bool:
        """Report ``phase`` with what changed; between the first and last step of an epoch at most
        every half second. Says whether it was passed on."""
        self.check_stop()
        between = (
            phase == self._progress.phase
            and phase in {"pretrain", "train"}
            and changes["epoch"] % 1
        )
        cleared = {"loss": None, "metrics": None}
        self._progress = replace(self._progress, phase=phase, **(cleared | changes))
        now = time.monotonic()
        if between and now - self._reported_at < _REPORT_SECONDS:
            return False
        self._reported_at = now
        self._on_progress(self._progress)
        return True

    def check_stop(self) -> None:
        if self._should_stop():
            raise TrainingCancelled("stopped on request; nothing was saved")

    def part(self, number: int, count: int, epochs: int) -> Reporter:
        """For training ``number`` (from 0) of ``count``, each of ``epochs``: its steps are told as steps of all."""
        return _Part(self, number, count, epochs)

    def inner(self) -> Reporter:
        """For a training inside this run: its steps are told as phase "pretrain", and it stops when this one does."""

        def forward(progress: Progress) -> None:
            self.report(
                "pretrain",
                step=progress.step,
                total_steps=progress.total_steps,
                epoch=progress.epoch,
                loss=progress.loss,
                eta_seconds=progress.eta_seconds,
            )

        return Reporter(forward, self._should_stop)


class _Part(Reporter):
    """Tells where one of several trainings is as where all of them are. One that stops early leaves out its steps."""

    def __init__(self, whole: Reporter, number: int, count: int, epochs: int) -> None:
        self._whole, self._number, self._count, self._epochs = whole, number, count, epochs
        self._step_seconds = 0.0

    def report(self, phase: Phase, **changes: Any) -> bool:
        if phase == "train":
            step, total, eta = changes["step"], changes["total_steps"], changes["eta_seconds"]
            if step < total:
                self._step_seconds = eta / (total - step)
            later = (self._count - self._number - 1) * total
            changes |= {
                "step": self._number * total + step,
                "total_steps": self._count * total,
                "epoch": self._number * self._epochs + changes["epoch"],
                "eta_seconds": round(eta + later * self._step_seconds, 1),
            }
        return self._whole.report(phase, **changes)

    def check_stop(self) -> None:
        self._whole.check_stop()

    def inner(self) -> Reporter:
        return self._whole.inner()
