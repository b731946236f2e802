"""Whether a price will rise or fall, from its own past and from what is said: a rolling backtest.

A logistic regression on what was known the day before, refitted as time goes on and never shown the future. Markets
leave little to be found: a few points above one half is what the literature reports, and this is no advice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_STEPS = 30


@dataclass(frozen=True, slots=True)
class Direction:
    """How often the direction was right over ``rows`` forecasts.

    ``majority`` is the share of the more frequent direction; ``mcc`` Matthews' correlation, 0 for guessing.
    ``low`` and ``high`` bound the accuracy at 95 % (Wilson).
    """

    accuracy: float
    mcc: float
    majority: float
    rows: int
    low: float
    high: float


def direction_backtest(
    features: npt.NDArray[np.float64],
    rises: npt.NDArray[np.bool_],
    times: npt.NDArray[np.int64],
    *,
    start: int,
    refit: int = 5,
    penalty: float = 1.0,
) -> Direction:
    """Forecasts for every row with ``times >= start``, by a model of the rows of earlier times.

    ``features``: (rows, n), known before the row's time; ``rises``: (rows,); ``times``: (rows,) days in any numbering.
    The model is fitted anew every ``refit`` days. Raises ValueError where there is nothing to learn from or to judge.
    """
    later = times >= start
    if not later.any() or later.all():
        raise ValueError("there must be rows before the start and rows after it")
    answers = np.zeros(len(times), dtype=bool)
    for day in range(start, int(times.max()) + 1, refit):
        ahead = (times >= day) & (times < day + refit)
        if not ahead.any():
            continue
        past = times < day
        centre, scale = features[past].mean(axis=0), features[past].std(axis=0) + 1e-9
        weights = _logistic((features[past] - centre) / scale, rises[past], penalty)
        answers[ahead] = _design((features[ahead] - centre) / scale) @ weights > 0
    return _judged(answers[later], rises[later])


def _design(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.hstack([np.ones((len(features), 1)), features])


def _logistic(
    features: npt.NDArray[np.float64], rises: npt.NDArray[np.bool_], penalty: float
) -> npt.NDArray[np.float64]:
    """Newton's method with an L2 penalty on everything but the intercept."""
    design = _design(features)
    held = penalty * np.eye(design.shape[1])
    held[0, 0] = 1e-6
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chances = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (chances - rises) + held @ weights
        curvature = (design * (chances * (1 - chances))[:, None]).T @ design + held
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _judged(answers: npt.NDArray[np.bool_], rises: npt.NDArray[np.bool_]) -> Direction:
    rows = len(rises)
    right = float((answers == rises).mean())
    up = float(rises.mean())
    true_up, true_down = float((answers & rises).sum()), float((~answers & ~rises).sum())
    false_up, false_down = float((answers & ~rises).sum()), float((~answers & rises).sum())
    spread = math.sqrt(
        (true_up + false_up)
        * (true_up + false_down)
        * (true_down + false_up)
        * (true_down + false_down)
    )
    z = 1.96
    centre = (right + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(right * (1 - right) / rows + z * z / (4 * rows**2))
    return Direction(
        accuracy=right,
        mcc=(true_up * true_down - false_up * false_down) / spread if spread else 0.0,
        majority=max(up, 1 - up),
        rows=rows,
        low=centre - half,
        high=centre + half,
    )
