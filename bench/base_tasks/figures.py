"""Rows of the table: a figure with its 95 % bootstrap interval."""

from __future__ import annotations

import numpy as np

from bench.harness import Row
from ml_core.evaluation import Interval, bootstrap_mean, bootstrap_sums
from ml_core.evaluation.intervals import mean_of_sums


def mean_row(what: str, figure: str, values: np.ndarray, groups: np.ndarray | None = None) -> Row:
    """The mean of ``values`` (examples,). Examples of one group (the questions of an entry) are drawn together: they
    are hard or easy together."""
    if groups is None:
        interval = bootstrap_mean(values)
    else:
        sums = [np.bincount(groups, each) for each in (values, np.ones(len(values)))]
        drawn = np.column_stack(sums)[sums[1] > 0]
        interval = bootstrap_sums(drawn, {"mean": mean_of_sums})["mean"]
    return row(what, figure, float(values.mean()), interval, len(values))


def row(what: str, figure: str, value: float | None, interval: Interval | None, count: int) -> Row:
    """One line: what was measured, by which figure, the number and its interval over ``count`` examples."""
    found: Row = {"data": what, "figure": figure, "value": value, "count": count}
    if interval is not None:
        found |= {"low": interval.low, "high": interval.high}
    return found
