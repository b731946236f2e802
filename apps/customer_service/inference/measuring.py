"""Figures of a ranking with what they may be by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_core.evaluation import bootstrap_mean
from ml_core.retrieval import paired_bootstrap, ranking_scores

__all__ = ["interval_of", "lost", "scores_of"]


def scores_of(ranks: Sequence[int]) -> dict[str, list[float]]:
    """Of each question "recall@1", "recall@5" and "mrr@10"; a rank counts from 1, 0 is not found."""
    return {name: list(map(float, scores)) for name, scores in ranking_scores(ranks).items()}


def interval_of(values: Sequence[float]) -> tuple[float, float]:
    """Where the mean of such values lies in 95 of 100 samples of the same size."""
    interval = bootstrap_mean(np.asarray(values, np.float64))
    return interval.low, interval.high


def lost(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    """By how much the mean has fallen on the same questions, and the 95 % interval of that."""
    difference = paired_bootstrap(before, after)
    low, high = difference.interval.low, difference.interval.high
    return -difference.difference, -high, -low
