"""Learning new rows without losing what the previous version knew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_core.training.options.base import option

_TASKS = ("text-classification",)


@dataclass(frozen=True, kw_only=True)
class ContinualOptions:
    previous: Path | None = option(
        "Artefact of the version to go on from: its encoder, its labels and its last layer are the start.",
        default=None,
        tasks=_TASKS,
    )
    replay: Path | None = option(
        "File of earlier rows, some of which are learned again beside the new ones.",
        default=None,
        tasks=_TASKS,
    )
    replay_fraction: float = option(
        "Part of the earlier rows that is replayed, the same share of each label, those nearest to the label's mean "
        "first (herding).",
        default=0.05,
        above=0,
        at_most=1,
        tasks=_TASKS,
    )
    replay_share: float = option(
        "Part of each epoch that is replayed rows; they are repeated to reach it.",
        default=0.5,
        above=0,
        below=1,
        tasks=_TASKS,
    )
    distillation: float = option(
        "Weight of keeping the previous version's answers over its own labels (learning without forgetting). 0: off.",
        default=0.0,
        at_least=0,
        tasks=_TASKS,
    )
    distillation_temperature: float = option(
        "Softness of the answers that are kept.", default=2.0, above=0, tasks=_TASKS
    )
    ewc: float = option(
        "Weight of holding the weights that mattered to the replayed rows where they were (elastic weight "
        "consolidation). 0: off.",
        default=0.0,
        at_least=0,
        tasks=_TASKS,
    )
    earlier: tuple[str, ...] = option(
        "Files of earlier snapshots on which the forgetting is measured: the previous version's main figure minus the "
        "new one's.",
        default=(),
        tasks=_TASKS,
    )
