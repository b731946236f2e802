"""``contrast``: embeddings that are near where texts belong together, through the task text-embedding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_core.data.rows import write_rows
from ml_core.hard_negatives import mine_negatives_file
from ml_core.pretraining.stages.base import StageResult, StageRun, training_figures
from ml_core.pretraining.stages.rows import data_rows, read_parts
from ml_core.pretraining.stages.settings import TrainingSettings
from ml_core.pretraining.stages.sources import Source
from ml_core.training.distributed import is_first, wait_for_all
from ml_core.training.options import Option
from ml_core.training.options.base import option
from ml_core.training.trainer import train

_DEFAULTS: dict[str, Any] = {
    "max_length": 96,
    "batch_size": 64,
    "epochs": 1,
    "early_stopping_patience": 0,
}


@dataclass(frozen=True, kw_only=True)
class ContrastSettings(TrainingSettings):
    """The settings of `contrast`; training options may stand beside them."""

    pairs: tuple[Source, ...] = option(
        "Files of texts that belong together; a weight of 2 has each row twice in an epoch, one of 0.5 half of the "
        "rows, always the same ones."
    )
    anchor: str = option("Column of the first text: a title, a question.", default="anchor")
    positive: str = option("Column of what belongs to it.", default="positive")
    hard_negatives: int = option(
        "Texts for each pair that are near its anchor and do not belong to it, found with the model before it is "
        "trained; 0: only the rest of the batch.",
        default=0,
        at_least=0,
        at_most=20,
    )
    depth: int = option(
        "Nearest texts among which hard negatives are looked for.", default=50, at_least=1
    )
    margin: float = option(
        "How much farther from the anchor than the positive a hard negative must be, in cosines.",
        default=0.05,
        at_least=0,
        at_most=2,
    )
    validation_rows: int = option("Pairs to validate on, at most.", default=1000, at_least=2)

    @classmethod
    def read(cls, option: Option, value: Any) -> Any:
        if option.name == "pairs":
            return Source.read_all(value, "pairs")
        return super().read(option, value)


def contrast(settings: ContrastSettings, stage: StageRun) -> StageResult:
    """Train ``stage.model`` so that the texts of a pair are nearer to each other than to other texts.

    Raises DataError, ConfigError, BaseModelError, ArtifactError, TrainingCancelled, TrainingError.
    """
    stage.reporter().report("load")
    pairs, held = stage.work / "pairs.jsonl", stage.work / "validation.jsonl"
    mined = stage.work / "mined.jsonl"
    config = settings.train_config(
        task="text-embedding",
        base=stage.model,
        train=mined if settings.hard_negatives else pairs,
        validation=held,
        out=stage.out,
        checkpoints=stage.work / "checkpoints",
        defaults=_DEFAULTS,
    )
    parts = read_parts(
        settings.pairs, (settings.anchor, settings.positive), settings.validation_rows
    )
    if is_first():
        stage.work.mkdir(parents=True, exist_ok=True)
        weighted = zip(settings.pairs, parts.train, strict=True)
        _write(
            pairs,
            [row for each, rows in weighted for row in rows for _ in range(each.times(row[0]))],
        )
        _write(held, parts.validation)
        if settings.hard_negatives and not mined.is_file():
            half = mined.with_name("half.jsonl")
            mine_negatives_file(
                pairs,
                half,
                model=str(stage.model),
                max_length=config.max_length,
                device=config.device,
                count=settings.hard_negatives,
                depth=settings.depth,
                margin=settings.margin,
            )
            half.rename(mined)
    wait_for_all()
    artifact = train(config, on_progress=stage.on_progress, should_stop=stage.should_stop)
    return StageResult(artifact.path, training_figures(artifact), data_rows(parts, settings.pairs))


def _write(path: Path, rows: list[tuple[str, str]]) -> None:
    names = ("anchor", "positive")
    write_rows(path, (dict(zip(names, row, strict=True)) for row in rows), task="text-embedding")
