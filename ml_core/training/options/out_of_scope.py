"""Telling texts that the model was not made for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_core.training.options.base import option

_TASKS = ("text-classification",)


@dataclass(frozen=True, kw_only=True)
class OutOfScopeOptions:
    out_of_scope_score: str = option(
        "What tells whether a text is one that the model was made for, fitted on the validation part after the "
        'training: a score of the logits ("max_probability", "margin", "entropy", "energy") or of the inner states '
        '("mahalanobis", "knn"), "combined" (all of them), "best" (the one that parts the texts of out_of_scope '
        'best), or "none".',
        default="energy",
        choices=(
            "none", "max_probability", "margin", "entropy", "energy", "mahalanobis", "knn", "combined", "best",
        ),
        tasks=_TASKS,
    )  # fmt: skip
    out_of_scope: Path | None = option(
        "File of texts that fit no label, with a column of the text. They are not learned from but choose the "
        "threshold, and the weights of a combined score. Unset: 95 % of the validation rows stay in scope.",
        default=None,
        tasks=_TASKS,
    )
    in_scope_accuracy: float | None = option(
        "Part of the validation rows that must be taken as in scope and labelled rightly, which fixes the threshold; "
        "unset: with out_of_scope, the most right answers over both kinds of texts.",
        default=None,
        above=0,
        at_most=1,
        tasks=_TASKS,
    )
