"""Which rows are learned from, and how much of each is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_core.training.options.base import option

_LABELLED = (
    "text-classification",
    "multi-label-classification",
    "token-classification",
    "span-classification",
    "image-classification",
)
_FLAT_TEXT = ("text-classification", "multi-label-classification", "masked-language-model")


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    train: Path = option("File of rows to learn from; its form depends on the task.")
    validation: Path | None = option(
        "File to choose the best epoch by and to report on; without it a part of the training file is split off.",
        default=None,
    )
    text_column: str = option(
        "Column (or key) of the text.",
        default="text",
        tasks=_FLAT_TEXT,
    )
    label_column: str = option(
        "Column (or key) of the label.", default="label", tasks=("text-classification",)
    )
    validation_fraction: float = option(
        "Part of the rows (of each label, where there is one) to split off when there is no validation file.",
        default=0.1,
        above=0,
        below=1,
    )
    max_length: int = option(
        "Tokens of a text that are read, special tokens included; the rest is cut off (of a sentence to be tagged: "
        "read through further windows of this length).",
        default=256,
        at_least=8,
    )
    class_weighting: str = option(
        'Loss weights: "none", or "balanced" (each label weighs the same however rare it is).',
        default="none",
        choices=("none", "balanced"),
        tasks=_LABELLED,
    )
    languages: tuple[str, ...] | None = option(
        "Languages the model can read, comma-separated ISO 639-1 codes; unset: found by trying the base's tokenizer "
        "on English and Chinese.",
        default=None,
    )
