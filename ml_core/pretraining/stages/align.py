"""``align``: a network that learns a second language from translations."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ml_core.pretraining.stages.base import StageResult, StageRun, train_task, training_figures
from ml_core.pretraining.stages.imitation import Imitation, Weights
from ml_core.pretraining.stages.rows import data_rows, read_parts, task_data
from ml_core.pretraining.stages.settings import TrainingSettings
from ml_core.pretraining.stages.sources import Source
from ml_core.pretraining.stages.teacher import Teacher
from ml_core.training.options import Option
from ml_core.training.options.base import option

_DEFAULTS: dict[str, Any] = {
    "max_length": 96,
    "batch_size": 64,
    "epochs": 3,
    "weight_decay": 0.0,
    "early_stopping_patience": 0,
}


@dataclass(frozen=True, kw_only=True)
class AlignSettings(TrainingSettings):
    """The settings of `align`; training options may stand beside them."""

    pairs: tuple[Source, ...] = option("Files of translations; several have sampling weights.")
    text: str = option("Column of the texts in the new language.", default="zh")
    source: str = option("Column of what the teacher reads.", default="en")
    teacher: str = option("The base whose embeddings are learned.", default="packaged")
    teacher_length: int = option("Tokens that the teacher reads.", default=128, at_least=8)
    text_weight: float = option(
        "Weight of drawing the new language's texts to the teacher.", default=1.0, at_least=0
    )
    source_weight: float = option(
        "Weight of holding the texts that the teacher reads where the teacher has them; 0: they are not even read, "
        "which halves the time.",
        default=0.0,
        at_least=0,
    )
    source_rows: float = option(
        "Rows in which the teacher's language stands on both sides, as a share of all: they hold it where it was at "
        "less cost than source_weight.",
        default=0.0,
        at_least=0,
        at_most=4,
    )
    contrast: float = option(
        "Weight of telling a text's translation from the others of the batch.",
        default=0.5,
        at_least=0,
    )
    temperature: float = option(
        "Cosines are divided by it in the contrastive term.", default=0.05, above=0, at_most=1
    )
    negatives: int = option(
        "Further embeddings of the teacher, drawn at random, that a text is told from.",
        default=512,
        at_least=0,
        at_most=65536,
    )
    encoder_dropout: float | None = option(
        "Dropout in the network's layers; unset: the base's own. What is learned here is given as numbers, and without "
        "dropout a step takes a seventh less time.",
        default=None,
        at_least=0,
        below=1,
    )
    validation_rows: int = option("Pairs to validate on, at most.", default=1000, at_least=1)

    @classmethod
    def read(cls, option: Option, value: Any) -> Any:
        if option.name == "pairs":
            return Source.read_all(value, "pairs")
        return super().read(option, value)


def align(settings: AlignSettings, stage: StageRun) -> StageResult:
    """Train ``stage.model`` so that its embedding of a text is the teacher's of the text's translation.

    Raises DataError, ConfigError, BaseModelError, ArtifactError, TrainingCancelled, TrainingError.
    """
    config = settings.train_config(
        task="text-embedding",
        base=stage.model,
        train=Path(settings.pairs[0].path),
        out=stage.out,
        checkpoints=stage.work / "checkpoints",
        defaults=_DEFAULTS,
    )
    reporter = stage.reporter()
    reporter.report("load")
    parts = read_parts(settings.pairs, (settings.text, settings.source), settings.validation_rows)
    learned, sources = parts, settings.pairs
    if settings.source_rows:
        own = [list(dict.fromkeys((each, each) for _, each in rows)) for rows in parts.train]
        learned = replace(parts, train=parts.train + own)
        sources += tuple(
            replace(each, weight=each.weight * settings.source_rows * len(pairs) / len(rows))
            for each, pairs, rows in zip(settings.pairs, parts.train, own, strict=True)
        )
    teacher = Teacher(
        settings.teacher,
        max_length=settings.teacher_length,
        device=config.device,
        cache=stage.cache,
    )
    data = task_data(learned, sources, teacher, settings.to_dict(), reporter)
    weights = Weights(
        text=settings.text_weight,
        source=settings.source_weight,
        contrast=settings.contrast,
        temperature=settings.temperature,
        negatives=settings.negatives,
        dropout=settings.encoder_dropout,
    )
    build = partial(Imitation, weights=weights, teacher=settings.teacher, pairs=True)
    artifact = train_task(config, data, stage, build)
    figures = training_figures(artifact) | {"weights": asdict(weights)}
    return StageResult(artifact.path, figures, data_rows(parts, settings.pairs))
