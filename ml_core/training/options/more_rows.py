"""Training rows beyond the labelled ones: variants, texts labelled by a model, what people know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_core.training.options.base import option

_TEXTS = ("text-classification", "multi-label-classification", "token-classification")
_LABELS = ("text-classification",)


@dataclass(frozen=True, kw_only=True)
class MoreRowsOptions:
    augmentation: tuple[str, ...] = option(
        "Ways to make variants of the training texts: synonym, insertion, swap, deletion and typo; for entity "
        "recognition token, synonym, mention and shuffle. None: off.",
        default=(),
        choices=("synonym", "insertion", "swap", "deletion", "typo", "token", "mention", "shuffle"),
        tasks=_TEXTS,
    )
    augmentation_per_row: int = option(
        "Variants of each row, at most.", default=1, at_least=1, tasks=_TEXTS
    )
    augmentation_strength: float = option(
        "Part of a text's words that a variant changes.",
        default=0.1,
        above=0,
        at_most=1,
        tasks=_TEXTS,
    )
    synonyms: Path | None = option(
        "File of synonyms, a group a line (or a CC-CEDICT file for Chinese); unset: nearest neighbours among the "
        "base model's own words.",
        default=None,
        tasks=_TEXTS,
    )
    pseudo_labels: bool = option(
        "Train once, let that model label the texts of `unlabelled` it is sure enough about, and train anew on both.",
        default=False,
        tasks=_LABELS,
    )
    pseudo_label_precision: float = option(
        "How often a label has to be right on the validation part, at the confidence from which it is taken.",
        default=0.95,
        above=0,
        at_most=1,
        tasks=_LABELS,
    )
    label_propagation: bool = option(
        "After the training, give the texts of `unlabelled` the labels of the training rows they are near to (over a "
        "graph of nearest neighbours) and fit the last layer on both. Worth most with few rows and many texts.",
        default=False,
        tasks=_LABELS,
    )
    propagation_share: float = option(
        "Part of the unlabelled texts that is taken, the surest first. Less than 1 where many of them are about "
        "something that no label is for.",
        default=1.0,
        above=0,
        at_most=1,
        tasks=_LABELS,
    )
    rules: Path | None = option(
        "YAML or CSV file of rules: phrases or patterns and the label they speak for. They label texts of "
        "`unlabelled`, and guide the finished model with the weight that the validation part gives them.",
        default=None,
        tasks=_LABELS,
    )
