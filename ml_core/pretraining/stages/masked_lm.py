"""``masked_lm``: a network that learns a language by guessing hidden words, through the task masked-language-model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_core.data.errors import DataError
from ml_core.pretraining.stages.base import StageResult, StageRun, training_figures
from ml_core.pretraining.stages.settings import TrainingSettings
from ml_core.pretraining.stages.sources import Source, text_number
from ml_core.training.distributed import is_first, wait_for_all
from ml_core.training.options import Option
from ml_core.training.options.base import option
from ml_core.training.trainer import train

_DEFAULTS: dict[str, Any] = {
    "max_length": 128,
    "batch_size": 32,
    "epochs": 1,
    "early_stopping_patience": 0,
}


@dataclass(frozen=True, kw_only=True)
class MaskedLmSettings(TrainingSettings):
    """The settings of `masked_lm`; training options may stand beside them, with ``max_length`` the tokens of a
    block that texts are packed into."""

    texts: tuple[Source, ...] = option(
        "Files of texts. A weight below 1 takes that part of them, always the same one."
    )
    column: str = option("Column of the text.", default="text")
    validation_rows: int = option("Texts to validate on, at most.", default=500, at_least=1)

    @classmethod
    def read(cls, option: Option, value: Any) -> Any:
        if option.name == "texts":
            return Source.read_all(value, "texts")
        return super().read(option, value)


def masked_lm(settings: MaskedLmSettings, stage: StageRun) -> StageResult:
    """Train ``stage.model`` to guess hidden words; one without the layers for it gets new ones.

    Raises DataError, ConfigError, BaseModelError, ArtifactError, TrainingCancelled, TrainingError.
    """
    train_file, held_file = stage.work / "texts.jsonl", stage.work / "validation.jsonl"
    config = settings.train_config(
        task="masked-language-model",
        base=stage.model,
        train=train_file,
        validation=held_file,
        out=stage.out,
        checkpoints=stage.work / "checkpoints",
        defaults=_DEFAULTS,
    )
    if is_first():
        stage.work.mkdir(parents=True, exist_ok=True)
        _write_all(settings, train_file, held_file)
    wait_for_all()
    artifact = train(config, on_progress=stage.on_progress, should_stop=stage.should_stop)
    data = [
        {"name": each.name, "weight": each.weight, "licence": each.licence}
        for each in settings.texts
    ]
    return StageResult(artifact.path, training_figures(artifact), data)


def _write_all(settings: MaskedLmSettings, train_file: Path, held_file: Path) -> None:
    """The texts of all sources as the two files of the task, one after the other: they need not fit into memory.

    Validated are the validation parts of corpora; without any, one text of a hundred by its hash.
    """
    names = (settings.column,)
    held = [(each, file) for each in settings.texts for file in each.validation_files()]
    validation = _Capped(held_file, settings.validation_rows)
    with train_file.open("w", encoding="utf-8") as train_lines, validation:
        for source, file in held:
            for (text,) in source.records([file], names):
                validation.add(text)
        for source in settings.texts:
            for (text,) in source.records(source.files(), names):
                if not held and text_number(text) % 100 == 0 and validation.add(text):
                    continue
                for _ in range(source.times(text)):
                    train_lines.write(_line(text))
    for path in (train_file, held_file):
        if not path.stat().st_size:
            raise DataError(
                f"no text is left to {'train' if path == train_file else 'validate'} on",
                path=settings.texts[0].path,
            )


class _Capped:
    """A file of at most so many texts."""

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._left = most

    def __enter__(self) -> None:
        self._file = self._path.open("w", encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, text: str) -> bool:
        """Write ``text``; False when there are enough."""
        if not self._left:
            return False
        self._left -= 1
        self._file.write(_line(text))
        return True


def _line(text: str) -> str:
    return json.dumps({"text": text}, ensure_ascii=False) + "\n"
