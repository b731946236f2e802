"""Which base a run starts from that names none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ml_core.data import Row, row_text
from ml_core.models.bases import AUTO, PACKAGED, default_base
from ml_core.tasks.base import TaskData
from ml_core.text import detect_language
from ml_core.training.config import TrainConfig

# Tasks in which "packaged" stands for a model of their own, whatever the language.
_OWN_MODEL = frozenset({"text-generation", "image-classification"})
_LOOKED_AT = 500
# A language that fewer rows are in came in by chance.
_LEAST_SHARE = 0.05


def with_base(config: TrainConfig, data: TaskData) -> TrainConfig:
    """``config`` with the base that "auto" stands for: by its ``languages``, or else by those of the training rows.

    Raises BaseModelError as `default_base` does.
    """
    if config.base != AUTO:
        return config
    if config.task in _OWN_MODEL:
        return replace(config, base=PACKAGED)
    languages = config.languages or text_languages(_texts(config.task, data))
    return replace(config, base=default_base(languages))


def text_languages(texts: Sequence[str]) -> tuple[str, ...]:
    """The languages that at least a twentieth of ``texts`` is in, by 500 of them from beginning to end; the most
    frequent first."""
    shown = texts[:: max(1, len(texts) // _LOOKED_AT)]
    found = Counter(detect_language(text) for text in shown)
    return tuple(
        language for language, count in found.most_common() if count >= _LEAST_SHARE * len(shown)
    )


def _texts(task: str, data: TaskData) -> Sequence[str]:
    if task == "next-item":
        return list(data.extra["items"].values())
    return [
        row_text(task, row.content) if isinstance(row, Row) else str(row.text) for row in data.train
    ]
