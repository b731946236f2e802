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

    ``step`` of ``total_steps`` counts optimiser steps over all epochs; ``epoch`` is in parts of an
    epoch (1.5: halfway through the second); ``loss`` is the mean training loss since the last
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
