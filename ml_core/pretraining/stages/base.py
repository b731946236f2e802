"""What a stage is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_core.registry.artifact import Artifact, check_free
from ml_core.tasks.base import Task, TaskData
from ml_core.training.config import TrainConfig
from ml_core.training.progress import Progress, Reporter


@dataclass(frozen=True)
class StageRun:
    """Where a stage works and whom it tells. ``model`` is the directory (or name) of the model it goes on from, ``out``
    the directory that it writes, ``work`` one for checkpoints, gone when the stage is done, ``cache`` one for what
    later runs may use again. ``on_progress`` and ``should_stop`` are those of `ml_core.training.train`."""

    model: Path | str
    out: Path
    work: Path
    cache: Path
    on_progress: Callable[[Progress], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False

    def reporter(self) -> Reporter:
        return Reporter(self.on_progress, self.should_stop)


@dataclass(frozen=True)
class StageResult:
    """What a stage wrote: a directory, its main figures, and the data it learned from for the model card: rows of
    ``{"name", "rows", "licence"}``."""

    directory: Path
    figures: dict[str, Any] = field(default_factory=dict)
    data: list[dict[str, Any]] = field(default_factory=list)


def train_task(
    config: TrainConfig,
    data: TaskData,
    stage: StageRun,
    build: Callable[[TrainConfig, TaskData], Task],
) -> Artifact:
    """Train a stage's own task with the one training loop; raises what `ml_core.training.train` raises."""
    from ml_core.training.run import run

    check_free(config.out, overwrite=config.overwrite)
    return run(config, data, stage.reporter(), build=build)


def training_figures(artifact: Artifact) -> dict[str, Any]:
    """The plain figures of a trained model for the recipe's report, with the tokens that its network read in an
    epoch."""
    figures = {
        key: value
        for key, value in artifact.manifest.metrics.items()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
    }
    tokens = artifact.manifest.options.get("tokens_per_epoch")
    rows = artifact.manifest.config.get("train_examples")
    more = {"tokens_per_epoch": tokens, "train_rows": rows}
    return figures | {key: value for key, value in more.items() if value is not None}
