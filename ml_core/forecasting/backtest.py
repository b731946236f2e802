"""A forecast with its intervals, and what forecasts made the same way were worth in the past.

The past is gone through origin by origin: at each the forecaster sees what came before and says what comes next.
Intervals are conformal: as wide as the errors that were known by then, horizon by horizon, with the level adapted to
what they covered lately (Gibbs & Candès, "Adaptive conformal inference under distribution shift", 2021). No
distribution is assumed. Counts are forecast on a square-root scale, where their spread depends little on their level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ml_core.forecasting.models import FORECASTERS, Values, seasonal_naive

# How fast the level of the intervals follows what they covered.
_ADAPTATION = 0.03
# Errors that must be known before there is an interval, and those that are kept: older ones tell little of today.
_LEAST_ERRORS = 20
_KEPT_ERRORS = 200
# Origins of a backtest: enough for two digits, few enough for a page that waits.
_ORIGINS = 120


class SeriesTooShort(ValueError):
    """The series is too short for a season and a backtest; the message says how long it must be."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One value ahead: the middle, and the bounds of the interval."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Backtest:
    """What forecasts of this kind were worth on this series.

    ``mase`` is the mean absolute error over that of the season's repetition within the first past (Hyndman & Koehler,
    2006); ``naive_mase`` the same of the seasonal naive forecast at the same origins; ``skill`` is by how much the
    former is smaller, 0 being equal. ``coverage`` is the share of values inside their interval, ``width`` the
    interval's mean width in units of the series. ``origins`` and ``values`` are what these were counted on.
    """

    mase: float
    naive_mase: float
    coverage: float | None
    width: float | None
    level: float
    origins: int
    values: int
    one_step: tuple[tuple[int, float, Interval | None], ...]
    """(place in the series, actual value, forecast one step before) for a chart."""

    @property
    def skill(self) -> float:
        """1 is perfect, 0 as good as repeating the season, below 0 worse."""
        return 1.0 - self.mase / self.naive_mase if self.naive_mase else 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The values ahead, and what such forecasts were worth."""

    ahead: tuple[Interval, ...]
    backtest: Backtest


class _Errors:
    """Known errors of one number of steps ahead, and how wide an interval has to be."""

    def __init__(self, level: float) -> None:
        self.target = 1.0 - level
        self.missing = self.target
        self.known: list[float] = []

    def radius(self) -> float | None:
        """Half the width; None while too little is known."""
        if len(self.known) < _LEAST_ERRORS:
            return None
        recent = np.sort(self.known[-_KEPT_ERRORS:])
        share = min(1.0, max(0.0, 1.0 - self.missing))
        place = math.ceil(share * (len(recent) + 1)) - 1
        return float(recent[min(len(recent) - 1, max(0, place))])

    def learn(self, error: float, radius: float | None) -> None:
        if radius is not None:
            missed = 1.0 if error > radius else 0.0
            self.missing += _ADAPTATION * (self.target - missed)
            self.missing = min(0.6, max(0.01, self.missing))
        self.known.append(error)


def forecast(
    values: Sequence[float],
    *,
    season: int,
    horizon: int,
    model: str = "mixed",
    level: float = 0.8,
    counts: bool = True,
    bounds: tuple[float, float] | None = None,
    origins: int = _ORIGINS,
) -> Forecast:
    """``horizon`` values after ``values`` with intervals that should hold ``level`` of them, and the backtest.

    ``season`` is a number of values, at least 2. ``counts`` are forecast on a square-root scale and never below 0;
    ``bounds`` hold any other series, such as (0, 1) for a share. The backtest has at most ``origins`` origins, the
    latest ones. Raises SeriesTooShort, and ValueError for what cannot be.
    """
    if model not in FORECASTERS:
        raise ValueError(f"there is no forecaster {model!r}; there are {', '.join(FORECASTERS)}")
    if season < 2 or horizon < 1 or not 0 < level < 1:
        raise ValueError("season must be 2 or more, horizon 1 or more, level between 0 and 1")
    series = np.asarray(values, dtype=np.float64)
    if not np.isfinite(series).all():
        raise ValueError("the series has values that are no finite numbers")
    least = 3 * season + horizon + _LEAST_ERRORS
    if len(series) < least:
        raise SeriesTooShort(f"{len(series)} values; a forecast with a backtest needs {least}")
    scale = _Scale(counts, bounds)
    work = scale.into(series)
    first = max(3 * season, len(series) - horizon - origins - _LEAST_ERRORS + 1)
    return _rolled(
        series,
        work,
        scale,
        season=season,
        horizon=horizon,
        first=first,
        forecaster=FORECASTERS[model],
        level=level,
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """The scale on which a series is forecast, and back."""

    counts: bool
    bounds: tuple[float, float] | None

    def into(self, series: Values) -> Values:
        return np.sqrt(np.maximum(series, 0.0) + 0.375) if self.counts else series

    def back(self, value: float) -> float:
        if self.counts:
            value = max(0.0, max(0.0, value) ** 2 - 0.375)
        if self.bounds:
            value = min(self.bounds[1], max(self.bounds[0], value))
        return value

    def interval(self, middle: float, radius: float) -> Interval:
        return Interval(*map(self.back, (middle, middle - radius, middle + radius)))


def _rolled(
    series: Values,
    work: Values,
    scale: _Scale,
    *,
    season: int,
    horizon: int,
    first: int,
    forecaster: Callable[[Values, int, int], Values],
    level: float,
) -> Forecast:
    errors = [_Errors(level) for _ in range(horizon)]
    unit = float(np.abs(series[season:first] - series[: first - season]).mean()) or 1.0
    absolute, naive_absolute, covered, widths = [], [], [], []
    one_step: list[tuple[int, float, Interval | None]] = []
    made: dict[int, list[tuple[float, float | None]]] = {}
    for origin in range(first, len(series) + 1):
        _settle(made, errors, work, origin)
        middles = forecaster(work[:origin], season, horizon)
        made[origin] = [(float(m), e.radius()) for m, e in zip(middles, errors, strict=True)]
        if origin + horizon > len(series):
            continue
        naive = seasonal_naive(series[:origin], season, horizon)
        for step, (middle, radius) in enumerate(made[origin]):
            actual = float(series[origin + step])
            absolute.append(abs(actual - scale.back(middle)))
            naive_absolute.append(abs(actual - float(naive[step])))
            interval = scale.interval(middle, radius) if radius is not None else None
            if interval is not None:
                covered.append(interval.low <= actual <= interval.high)
                widths.append(interval.high - interval.low)
            if step == 0:
                one_step.append((origin, actual, interval))
    ahead = tuple(
        scale.interval(middle, radius if radius is not None else 0.0)
        for middle, radius in made[len(series)]
    )
    backtest = Backtest(
        mase=float(np.mean(absolute)) / unit,
        naive_mase=float(np.mean(naive_absolute)) / unit,
        coverage=float(np.mean(covered)) if covered else None,
        width=float(np.mean(widths)) if widths else None,
        level=level,
        origins=len(one_step),
        values=len(absolute),
        one_step=tuple(one_step),
    )
    return Forecast(ahead, backtest)


def _settle(
    made: dict[int, list[tuple[float, float | None]]],
    errors: list[_Errors],
    work: Values,
    origin: int,
) -> None:
    """Let the errors that the value before ``origin`` made known count."""
    newest = origin - 1
    for step, known in enumerate(errors):
        forecasts = made.get(newest - step)
        if forecasts is not None:
            middle, radius = forecasts[step]
            known.learn(abs(float(work[newest]) - middle), radius)
