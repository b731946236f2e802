"""How a training run tells its caller where it is, and how it ends early."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Phase = Literal["load", "tokenise", "train", "evaluate", "save"]


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
