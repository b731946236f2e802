"""Learning from the user's own texts without labels, by guessing hidden words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_core.training.options.base import option

ENCODER_TASKS = (
    "text-classification",
    "multi-label-classification",
    "token-classification",
    "span-classification",
    "text-embedding",
    "reranking",
)


@dataclass(frozen=True, kw_only=True)
class PretrainingOptions:
    masking: float = option(
        "Part of the words that are hidden and guessed.",
        default=0.15,
        above=0,
        at_most=0.5,
        tasks=(*ENCODER_TASKS, "masked-language-model"),
    )
    pretrain_epochs: int = option(
        "Passes of guessing hidden words over the unlabelled texts before the fine-tuning begins; 0: none.",
        default=0,
        at_least=0,
        tasks=ENCODER_TASKS,
    )
    unlabelled: Path | None = option(
        "File of texts without labels (.txt with one a line, or .csv, .jsonl, .parquet with a column text); unset: "
        "the texts of the training rows.",
        default=None,
        tasks=ENCODER_TASKS,
    )
    pretrain_learning_rate: float | None = option(
        "Peak learning rate of the guessing; unset: a tested default by the base's size.",
        default=None,
        above=0,
        below=1,
        tasks=ENCODER_TASKS,
    )
