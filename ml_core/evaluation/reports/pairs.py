"""The report of scores for pairs of texts: similarity and matching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml_core.evaluation import curves, pairs
from ml_core.evaluation.intervals import Interval, bootstrap_sums, bootstrap_weighted
from ml_core.evaluation.reports.common import WORST_ERRORS, Report, aligned, shown
from ml_core.evaluation.slices import slice_scores

_WEIGHTED_RESAMPLES = 300


@dataclass(frozen=True)
class PairError:
    """A pair whose place in the model's order is farthest from its place in the truth."""

    first: str
    second: str
    truth: float
    score: float
    line: int


@dataclass(frozen=True, kw_only=True)
class PairsReport(Report):
    """Scores of one similarity model on pairs.

    With a graded truth the headline is ``spearman``. With a truth of only 0 and 1 it is
    ``average_precision``, and there are ``auroc``, ``best_f1`` and ``best_accuracy`` with
    ``best_threshold``, the threshold for F1 (chosen on these same pairs, so a little flattering);
    with a graded truth these are NaN. The number that a constant score makes undefined is NaN.
    """

    kind: ClassVar[str] = "pairs"
    not_in_summary: ClassVar[tuple[str, ...]] = ("worst_errors",)

    spearman: float
    pearson: float
    average_precision: float
    auroc: float
    best_f1: float
    best_threshold: float
    best_accuracy: float
    worst_errors: tuple[PairError, ...]


def build_pairs_report(
    scores: Sequence[float] | np.ndarray,
    truth: Sequence[float] | np.ndarray,
    *,
    texts: Sequence[tuple[str, str]] | None = None,
    lines: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> PairsReport:
    """Compare the model's score of each pair with the true one (0 or 1, or graded).

    ``texts`` (the pairs) and ``lines`` are shown with the worst errors; ``columns`` (a value per
    pair) make the slices, scored by Spearman's correlation.

    Raises ValueError for no pairs, columns of different lengths, or a number that is not finite.
    """
    aligned(len(scores), truth=truth, texts=texts, lines=lines)
    given, true = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if not (np.isfinite(given).all() and np.isfinite(true).all()):
        raise ValueError("a score or the truth is not finite")
    is_binary = bool(np.isin(true, (0.0, 1.0)).all())
    ranks = pairs.moments(pairs.average_ranks(given), pairs.average_ranks(true))
    intervals = bootstrap_sums(ranks, {"spearman": pairs.pearson_of_sums})
    intervals |= bootstrap_sums(pairs.moments(given, true), {"pearson": pairs.pearson_of_sums})
    undefined = float("nan")
    binary = dict.fromkeys(
        ("average_precision", "auroc", "best_f1", "best_threshold", "best_accuracy"), undefined
    )
    if is_binary:
        f1, threshold = curves.best_f1_threshold(given, true)
        binary = {
            "average_precision": float(curves.average_precision(given, true)),
            "auroc": float(curves.auroc(given, true)),
            "best_f1": f1,
            "best_threshold": threshold,
            "best_accuracy": float(((given >= threshold) == (true > 0)).mean()),
        }
        intervals |= _binary_intervals(given, true)
    return PairsReport(
        headline="average_precision" if is_binary else "spearman",
        count=len(given),
        intervals=intervals,
        slices=slice_scores(columns or {}, ranks, pairs.pearson_of_sums, metric="spearman"),
        spearman=float(pairs.pearson_of_sums(ranks.sum(0))),
        pearson=pairs.pearson(given, true),
        worst_errors=_worst_errors(given, true, texts, lines),
        answers=None,  # a pair's score is right only among the others
        **binary,
    )


def _binary_intervals(scores: np.ndarray, truth: np.ndarray) -> dict[str, Interval]:
    return {
        "average_precision": bootstrap_weighted(
            lambda weights: curves.average_precision(scores, truth, weights),
            len(truth),
            resamples=_WEIGHTED_RESAMPLES,
        ),
        "auroc": bootstrap_weighted(
            lambda weights: curves.auroc(scores, truth, weights),
            len(truth),
            resamples=_WEIGHTED_RESAMPLES,
        ),
    }


def _worst_errors(
    scores: np.ndarray,
    truth: np.ndarray,
    texts: Sequence[tuple[str, str]] | None,
    lines: Sequence[int] | None,
) -> tuple[PairError, ...]:
    gap = np.abs(pairs.average_ranks(scores) - pairs.average_ranks(truth))
    worst = np.argsort(-gap, kind="stable")[:WORST_ERRORS]
    return tuple(
        PairError(
            first=shown(texts[at][0]) if texts else "",
            second=shown(texts[at][1]) if texts else "",
            truth=float(truth[at]),
            score=float(scores[at]),
            line=lines[at] if lines else 0,
        )
        for at in worst.tolist()
        if gap[at] > 0
    )
