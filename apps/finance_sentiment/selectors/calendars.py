"""Trading calendars, and how time is divided into days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Max, QuerySet

from apps.finance_sentiment.models import TradingCalendar
from apps.finance_sentiment.trading import DayPlan, Hours, sessions_times
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import current_organisation_id

# So long before the last known holiday people are asked for the next year's.
NOTICE = timedelta(days=60)


def calendars() -> QuerySet[TradingCalendar]:
    """The main one first, the others by name; each with `known_until`, the day of its last holiday."""
    return TradingCalendar.objects.annotate(known_until=Max("holidays__day")).order_by(
        "-is_main", "name"
    )


def hours_of(calendar: TradingCalendar) -> Hours:
    """When its market trades."""
    return Hours(
        ZoneInfo(calendar.time_zone),
        frozenset(calendar.weekdays),
        sessions_times(calendar.sessions),
        dict(calendar.holidays.values_list("day", "closes_at")),
    )


def organisation_zone() -> ZoneInfo:
    """The time zone of the organisation in force."""
    zone: str = Organisation.objects.values_list("time_zone", flat=True).get(
        pk=current_organisation_id()
    )
    return ZoneInfo(zone)


def day_plan() -> DayPlan:
    """How the organisation in force divides time into days, and on which of them it works."""
    main = TradingCalendar.objects.filter(is_main=True).first()
    if main is None:
        return DayPlan(organisation_zone())
    at_close = main.days_end == TradingCalendar.DaysEnd.CLOSE
    return DayPlan(organisation_zone(), hours_of(main), at_close)


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day in a calendar: whether the market opens, and what holiday it is."""

    day: date
    trades: bool
    name: str
    closes_early: bool


def calendar_days(calendar: TradingCalendar, *, since: date, until: date) -> list[CalendarDay]:
    """Every day of [since, until)."""
    hours = hours_of(calendar)
    names = dict(calendar.holidays.filter(day__gte=since, day__lt=until).values_list("day", "name"))
    days = [since + timedelta(days=n) for n in range((until - since).days)]
    return [
        CalendarDay(
            day, hours.is_trading_day(day), names.get(day, ""), bool(hours.holidays.get(day))
        )
        for day in days
    ]
