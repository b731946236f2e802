"""What a series will do next: functions of its past, all with one signature.

``forecaster(history, season, horizon)`` gets an array of at least two seasons, oldest first, and gives ``horizon``
values. They are fitted anew at every call; all of them together take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Forecaster = Callable[[Values, int, int], Values]

# Ridge: how firmly coefficients are held at zero, per row of standardised features.
_RIDGE = 0.03
# What it learns from: longer pasts tell of a world that is gone.
_ROWS = 600
# Smoothing constants that are tried for the level.
_LEVELS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


def seasonal_naive(history: Values, season: int, horizon: int) -> Values:
    """The last season again: what every other forecaster is measured against."""
    last = history[-season:]
    return np.array([last[step % season] for step in range(horizon)])


def smoothing(history: Values, season: int, horizon: int) -> Values:
    """Exponential smoothing of the level around additive seasonal means.

    The smoothing constant is the one with the least squared one-step error. The season is a mean over the past, pulled
    towards none by as much evidence as one season.
    """
    offsets = _offsets(history, season)
    phase = np.arange(len(history)) % season
    plain = history - offsets[phase]
    best, level = np.inf, float(plain.mean())
    for constant in _LEVELS:
        current, error = float(plain[:season].mean()), 0.0
        for value in plain[season:]:
            error += (value - current) ** 2
            current += constant * (value - current)
        if error < best:
            best, level = error, current
    ahead = (len(history) + np.arange(horizon)) % season
    return np.asarray(level + offsets[ahead], dtype=np.float64)


def _offsets(history: Values, season: int) -> Values:
    """By how much each phase of the season differs from the mean."""
    centre = history.mean()
    phase = np.arange(len(history)) % season
    sums = np.bincount(phase, weights=history - centre, minlength=season)
    counts = np.bincount(phase, minlength=season)
    offsets: Values = sums / (counts + 1.0)
    return offsets


def lags(history: Values, season: int, horizon: int) -> Values:
    """Ridge regression on the last values, those one and two seasons back, means and the phase of the season.

    Applied step by step: what it has said is the past of what it says next.
    """
    reach = 2 * season
    if len(history) < reach + season + 10:
        return smoothing(history, season, horizon)
    centre, scale = float(history.mean()), float(history.std()) or 1.0
    series = (history - centre) / scale
    places = np.arange(max(reach, len(series) - _ROWS), len(series))
    offsets = _offsets(series, season)
    weights = _ridge(_features(series, places, offsets), series[places])
    for _ in range(horizon):
        ahead = _features(series, np.array([len(series)]), offsets) @ weights
        series = np.append(series, ahead)
    # A linear recursion may run away; nothing is forecast that is far outside of what was seen.
    margin = 0.5 * (history.max() - history.min())
    made = series[-horizon:] * scale + centre
    return np.asarray(np.clip(made, history.min() - margin, history.max() + margin))


def _features(series: Values, places: npt.NDArray[np.int64], offsets: Values) -> Values:
    """(places, features): what is known before each place."""
    season = len(offsets)
    near = np.arange(min(6, season), 0, -1)
    sums = np.concatenate([[0.0], np.cumsum(series)])
    columns = [
        np.ones(len(places)),
        offsets[places % season],
        series[places - season],
        series[places - 2 * season],
        0.5 * (series[places - season + 1] + series[places - season - 1]),
        (sums[places] - sums[places - season]) / season,
        (sums[places] - sums[places - 2 * season]) / (2 * season),
    ]
    return np.column_stack([*columns, series[places[:, None] - near]])


def _ridge(features: Values, targets: Values) -> Values:
    penalty = _RIDGE * len(targets) * np.eye(features.shape[1])
    penalty[0, 0] = 1e-9
    weights: Any = np.linalg.solve(features.T @ features + penalty, features.T @ targets)
    return np.asarray(weights)


def mixed(history: Values, season: int, horizon: int) -> Values:
    """The mean of smoothing and lags: seldom the best of both, never far from it."""
    return 0.5 * (smoothing(history, season, horizon) + lags(history, season, horizon))


FORECASTERS: dict[str, Forecaster] = {
    "seasonal-naive": seasonal_naive,
    "smoothing": smoothing,
    "lags": lags,
    "mixed": mixed,
}
