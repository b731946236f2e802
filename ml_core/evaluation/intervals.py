"""Bootstrap intervals, and the paired bootstrap between two models.

Nearly every score is a function of sums over the examples (hits, n-gram matches, log-likelihoods),
so a resample is a vector of how often each example is drawn, and a score on it is a matrix product:
no loop over examples, no second run of the model.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap (percentile interval); Koehn
2004, Statistical Significance Tests for Machine Translation Evaluation (paired bootstrap);
Berg-Kirkpatrick, Burkett and Klein 2012, An Empirical Investigation of Statistical Significance in
NLP (the p-value).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
_CHUNK_CELLS = 4_000_000

Statistic = Callable[[np.ndarray], np.ndarray]
"""From sums of shape (…, columns) to scores of shape (…)."""


@dataclass(frozen=True)
class Interval:
    """A 95 % percentile bootstrap interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """``second - first`` on the same examples: the 95 % interval of the difference and a two-sided
    p-value for "they are equally good"."""

    first: float
    second: float
    difference: float
    interval: Interval
    p_value: float


def interval_of(values: np.ndarray) -> Interval:
    """The 2.5 and 97.5 percentiles; NaN (a resample without a score) is left out, all NaN is an
    interval of NaN."""
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(float("nan"), float("nan"))
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))


def resample_weights(
    count: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[np.ndarray]:
    """How often each of ``count`` examples is drawn: arrays of shape (some resamples, count), in
    pieces that fit in memory, ``resamples`` rows in all.

    Raises ValueError without examples.
    """
    if count < 1:
        raise ValueError("there are no examples to resample")
    generator = np.random.default_rng(seed)
    size = max(1, _CHUNK_CELLS // count)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        drawn = generator.integers(0, count, (rows, count))
        drawn += np.arange(rows)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)


def resampled_sums(
    rows: np.ndarray,
    *,
    counts: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Sums of ``rows`` (examples, columns) over resamples: shape (resamples, columns).

    With ``counts`` (kinds,) each row stands for that many equal examples, and a resample is one
    draw from a multinomial distribution.
    """
    if counts is None:
        return np.concatenate(
            [
                weights.astype(np.float32) @ rows
                for weights in resample_weights(len(rows), resamples=resamples, seed=seed)
            ]
        )
    total = int(counts.sum())
    if total < 1:
        raise ValueError("there are no examples to resample")
    draws = np.random.default_rng(seed).multinomial(total, counts / total, size=resamples)
    sums: np.ndarray = draws.astype(np.float64) @ rows
    return sums


def bootstrap_sums(
    rows: np.ndarray,
    statistics: Mapping[str, Statistic],
    *,
    counts: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """The interval of each statistic of the column sums of ``rows`` (examples, columns)."""
    sums = resampled_sums(rows, counts=counts, resamples=resamples, seed=seed)
    return {name: interval_of(statistic(sums)) for name, statistic in statistics.items()}


def bootstrap_mean(values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The interval of the mean of ``values``, shape (examples,)."""
    rows = np.column_stack([values, np.ones(len(values))])
    return bootstrap_sums(rows, {"mean": mean_of_sums}, resamples=resamples, seed=seed)["mean"]


def mean_of_sums(sums: np.ndarray) -> np.ndarray:
    """First column divided by the second."""
    quotient: np.ndarray = sums[..., 0] / sums[..., 1]
    return quotient


def bootstrap_weighted(
    score: Statistic, count: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The interval of a score that takes weights of shape (resamples, examples), such as AUROC."""
    parts = [score(w) for w in resample_weights(count, resamples=resamples, seed=seed)]
    return interval_of(np.concatenate(parts))


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    statistic: Statistic,
    *,
    resamples: int = 2 * RESAMPLES,
    seed: int = 0,
) -> Difference:
    """How sure it is that the second model differs from the first on the same examples.

    ``first`` and ``second`` are the models' rows of shape (examples, columns) in the same order of
    examples, of which ``statistic`` makes a score from the column sums; both are drawn together.
    The p-value is the share of resamples whose difference is at least as far from the observed one
    as that is from zero (the distribution under "equally good" is the centred one).

    Raises ValueError when the shapes differ or there are no examples.
    """
    if first.shape != second.shape:
        raise ValueError(f"rows of shape {first.shape} and {second.shape} cannot be paired")
    columns = first.shape[1]
    sums = resampled_sums(np.hstack([first, second]), resamples=resamples, seed=seed)
    differences = statistic(sums[:, columns:]) - statistic(sums[:, :columns])
    scores = [float(statistic(rows.sum(0, dtype=np.float64))) for rows in (first, second)]
    observed = scores[1] - scores[0]
    # The tolerance keeps rounding from deciding ties, of which small sets have many.
    as_extreme = np.abs(differences - observed) >= abs(observed) - 1e-9
    return Difference(
        first=scores[0],
        second=scores[1],
        difference=observed,
        interval=interval_of(differences),
        p_value=float((1 + as_extreme.sum()) / (1 + resamples)),
    )
