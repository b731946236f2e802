"""What will be published on a subject next, how sure that is, and what such forecasts were worth so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from apps.finance_sentiment.inference.forecasts import (
    Direction,
    Forecast,
    direction_backtest,
    forecast,
)
from apps.finance_sentiment.models import Subject
from apps.finance_sentiment.selectors.calendars import day_plan
from apps.finance_sentiment.selectors.trends import DAY, MAX_POINTS, TrendPoint, trend_series
from apps.finance_sentiment.trading import DayPlan

HOUR = 3600
# By the width of a value: how far back is read.
HISTORY = {HOUR: timedelta(days=28), DAY: timedelta(days=365)}
MEASURES = ("volume", "negatives", "share")
# A share of few stories is no share: it is pulled towards a quarter by as much as four of them.
_PRIOR, _PRIOR_STORIES = 1.0, 4.0
# Days of prices before the backtest of the direction begins, and behind each forecast.
_LEARNING_DAYS, _PAST_DAYS = 60, 5
MAX_DAYS = 6000


class UnfitPrices(ValueError):
    """There are too few days with a price, or too many between them; the message says how many it takes."""


@dataclass(frozen=True, slots=True)
class SubjectForecast:
    """The series of a subject and what comes next; `starts` are the starts of all values and of those ahead."""

    subject: Subject
    measure: str
    width: int
    model: str
    starts: list[datetime]
    values: list[float]
    ahead: list[datetime]
    forecast: Forecast

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON types."""
        test = self.forecast.backtest
        known = {place: interval for place, _actual, interval in test.one_step}
        return {
            "kind": self.subject.kind,
            "key": self.subject.key,
            "measure": self.measure,
            "width": self.width,
            "model": self.model,
            "history": [
                {
                    "start": start.isoformat(),
                    "value": round(value, 4),
                    **(_bounds(known.get(place))),
                }
                for place, (start, value) in enumerate(zip(self.starts, self.values, strict=True))
            ],
            "ahead": [
                {"start": start.isoformat(), **_bounds(interval)}
                for start, interval in zip(self.ahead, self.forecast.ahead, strict=True)
            ],
            "backtest": {
                "mase": round(test.mase, 3),
                "naive_mase": round(test.naive_mase, 3),
                "skill": round(test.skill, 3),
                "coverage": None if test.coverage is None else round(test.coverage, 3),
                "level": test.level,
                "origins": test.origins,
                "values": test.values,
            },
        }


def _bounds(interval: Any) -> dict[str, float | None]:
    if interval is None:
        return {"middle": None, "low": None, "high": None}
    return {name: round(getattr(interval, name), 4) for name in ("middle", "low", "high")}


def subject_forecast(
    *, subject: Subject, measure: str, width: int, model: str, now: datetime
) -> SubjectForecast:
    """The forecast of a whole season: a day by the hour, or a week by the day as the organisation divides it.

    The value that is still going on is left out. A series begins with its subject's first story, but not before what
    `HISTORY` reaches back.

    Raises:
        SeriesTooShort: there is too little past.
    """
    plan = day_plan() if width == DAY else None
    season = plan.season if plan else 24
    end, ahead = _ahead(now, width, season, plan)
    points = trend_series(subject=subject, start=end - HISTORY[width], end=end, width=width)
    points = points[next((n for n, point in enumerate(points) if point.stories), len(points)) :]
    values = [_value(point, measure) for point in points]
    made = forecast(
        values,
        season=season,
        horizon=season,
        model=model,
        counts=measure != "share",
        bounds=(0.0, 1.0) if measure == "share" else None,
    )
    return SubjectForecast(
        subject=subject,
        measure=measure,
        width=width,
        model=model,
        starts=[point.start for point in points],
        values=values,
        ahead=ahead,
        forecast=made,
    )


def _ahead(
    now: datetime, width: int, season: int, plan: DayPlan | None
) -> tuple[datetime, list[datetime]]:
    """The end of the past, and the starts of the values of the next season."""
    if plan is not None:
        days = plan.next_days(now, season)
        return days[0].start, [day.start for day in days]
    end = now - timedelta(seconds=now.timestamp() % width)
    return end, [end + timedelta(seconds=width * step) for step in range(season)]


def _value(point: TrendPoint, measure: str) -> float:
    if measure == "volume":
        return float(point.stories)
    if measure == "negatives":
        return float(point.stories_negative)
    return (point.stories_negative + _PRIOR) / (point.stories + _PRIOR_STORIES)


def price_direction(*, subject: Subject, prices: Sequence[tuple[date, float]]) -> Direction:
    """How often rise or fall would have been said right, from earlier returns and the stories until the day before.

    Args:
        prices: closing prices by day in any order, one a day, above 0.

    Raises:
        UnfitPrices: fewer than `_LEARNING_DAYS` and some more.
    """
    days = sorted(prices)
    if days and (days[-1][0] - days[0][0]).days > MAX_DAYS:
        raise UnfitPrices(f"the prices reach over more than {MAX_DAYS} days")
    least = _LEARNING_DAYS + 2 * _PAST_DAYS + 20
    if len(days) < least:
        raise UnfitPrices(f"{len(days)} days with a price; a backtest needs {least}")
    closes = np.array([close for _day, close in days])
    returns = np.diff(np.log(closes))
    start, end = days[0][0], days[-1][0]
    said = _said(subject, start, end)
    features, rises, times = [], [], []
    for place in range(_PAST_DAYS, len(returns)):
        day, before = days[place + 1][0], days[place][0]
        past = returns[place - _PAST_DAYS : place]
        features.append([*past, past.sum(), *_since(said, before, day)])
        rises.append(returns[place] > 0)
        times.append(place)
    return direction_backtest(
        np.array(features),
        np.array(rises),
        np.array(times),
        start=_PAST_DAYS + _LEARNING_DAYS,
        penalty=10.0,
    )


def _said(subject: Subject, start: date, end: date) -> dict[date, tuple[int, int]]:
    """Stories and negative stories by day."""
    said = {}
    for first in range(0, (end - start).days, MAX_POINTS):
        begin = datetime.combine(start + timedelta(days=first), time.min, UTC)
        stop = min(begin + timedelta(days=MAX_POINTS), datetime.combine(end, time.min, UTC))
        for point in trend_series(subject=subject, start=begin, end=stop, width=DAY):
            said[point.day or point.start.date()] = (point.stories, point.stories_negative)
    return said


def _since(said: dict[date, tuple[int, int]], before: date, day: date) -> list[float]:
    known = [said.get(before + timedelta(days=n), (0, 0)) for n in range((day - before).days)]
    stories, bad = sum(of[0] for of in known), sum(of[1] for of in known)
    return [float(np.log1p(stories)), (bad + _PRIOR) / (stories + _PRIOR_STORIES)]
