"""``distil``: a network that learns the embeddings of another one on texts that both read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
    "max_length": 128,
    "batch_size": 64,
    "epochs": 1,
    "early_stopping_patience": 0,
}


@dataclass(frozen=True, kw_only=True)
class DistilSettings(TrainingSettings):
    """The settings of `distil`; training options may stand beside them."""

    texts: tuple[Source, ...] = option("Files of texts; several have sampling weights.")
    column: str = option("Column of the text.", default="text")
    teacher: str = option("The base whose embeddings are learned.", default="packaged")
    contrast: float = option(
        "Weight of telling the teacher's embedding of a text from the others of the batch.",
        default=0.0,
        at_least=0,
    )
    temperature: float = option(
        "Cosines are divided by it in the contrastive term.", default=0.05, above=0, at_most=1
    )
    hidden: float = option(
        "Weight of learning the teacher's inner states as well, token by token; it needs a teacher of the same width "
        "and the same tokens, and its network runs at every step.",
        default=0.0,
        at_least=0,
    )
    validation_rows: int = option("Texts to validate on, at most.", default=1000, at_least=1)

    @classmethod
    def read(cls, option: Option, value: Any) -> Any:
        if option.name == "texts":
            return Source.read_all(value, "texts")
        return super().read(option, value)


def distil(settings: DistilSettings, stage: StageRun) -> StageResult:
    """Train ``stage.model`` so that its embedding of a text is the teacher's.

    Raises DataError, ConfigError, BaseModelError, ArtifactError, TrainingCancelled, TrainingError.
    """
    config = settings.train_config(
        task="text-embedding",
        base=stage.model,
        train=Path(settings.texts[0].path),
        out=stage.out,
        checkpoints=stage.work / "checkpoints",
        defaults=_DEFAULTS,
    )
    reporter = stage.reporter()
    reporter.report("load")
    parts = read_parts(settings.texts, (settings.column,), settings.validation_rows)
    teacher = Teacher(
        settings.teacher, max_length=config.max_length, device=config.device, cache=stage.cache
    )
    data = task_data(parts, settings.texts, teacher, settings.to_dict(), reporter)
    weights = Weights(
        contrast=settings.contrast, temperature=settings.temperature, hidden=settings.hidden
    )
    build = partial(Imitation, weights=weights, teacher=settings.teacher, pairs=False)
    artifact = train_task(config, data, stage, build)
    figures = training_figures(artifact) | {"weights": asdict(weights)}
    return StageResult(artifact.path, figures, data_rows(parts, settings.texts))
