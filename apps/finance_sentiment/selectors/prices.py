"""Prices, and how people spoke on the same days."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, QuerySet

from apps.finance_sentiment.models import Entity, Instrument, Price, Subject, SubjectKind
from apps.finance_sentiment.selectors.calendars import day_plan
from apps.finance_sentiment.selectors.trends import TrendPoint, day_series

# A chart of fewer days tells nothing, one of more cannot be read.
_LEAST, _MOST = timedelta(days=30), timedelta(days=400)


@dataclass(frozen=True, slots=True)
class SentimentDay:
    """How an entity was spoken of on a day: `mean` is (positive − negative) / scored, from −1 to 1."""

    day: date
    documents: int
    mean: float | None
    close: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The day as text."""
        return {
            "day": self.day.isoformat(),
            "documents": self.documents,
            "mean": self.mean,
            "close": self.close,
        }


def prices_of(
    instrument: Instrument, *, since: date | None = None, until: date | None = None
) -> QuerySet[Price]:
    """The prices of an instrument in [since, until], the latest first."""
    prices = Price.objects.filter(instrument=instrument).order_by("-day")
    if since is not None:
        prices = prices.filter(day__gte=since)
    if until is not None:
        prices = prices.filter(day__lte=until)
    return prices


def instruments_priced(entity: Entity) -> list[Instrument]:
    """The listings of an entity, that with the most prices first; `price_count` says how many."""
    return list(
        entity.instruments.annotate(price_count=Count("prices__day")).order_by(
            "-price_count", "exchange", "symbol"
        )
    )


def instrument_chosen(entity: Entity, wanted: str) -> Instrument | None:
    """The listing with the id `wanted` if it is the entity's, else that with the most prices; None without any."""
    found = instruments_priced(entity)
    try:
        chosen = uuid.UUID(wanted)
    except ValueError:
        chosen = None
    return next((each for each in found if each.pk == chosen), next(iter(found), None))


def sentiment_and_price(
    *, entity: Entity, instrument: Instrument, start: datetime, end: datetime
) -> list[SentimentDay]:
    """Every day of [start, end), at least 30 and at most 400 of them up to `end`, by the organisation's days.

    Documents count where they were published, so after the close already on the next day if days end with the market's.
    """
    plan = day_plan()
    days = plan.days(max(end - _MOST, min(start, end - _LEAST)), end)
    if not days:
        return []
    closes = {
        price.day: float(price.close)
        for price in prices_of(instrument, since=days[0].day, until=days[-1].day)
    }
    points = day_series(subject=Subject(SubjectKind.ENTITY, str(entity.pk)), days=days)
    return [
        _day(each.day, point, closes.get(each.day))
        for each, point in zip(days, points, strict=True)
    ]


def _day(day: date, point: TrendPoint, close: float | None) -> SentimentDay:
    scored = point.negative + point.neutral + point.positive
    mean = round((point.positive - point.negative) / scored, 4) if scored else None
    return SentimentDay(day, point.documents, mean, close)
