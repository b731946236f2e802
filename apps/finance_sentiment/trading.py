"""Which days a market trades, when it closes, and which stretch of time each day is. Free of the database."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
# No market is closed for longer; a calendar in which it is would have no next trading day.
LONGEST_BREAK = 60


class NoTradingDay(ValueError):
    """The calendar has no trading day for `LONGEST_BREAK` days on end."""


@dataclass(frozen=True, slots=True)
class Day:
    """What counts as `day`: the times from `start` (included) to `end` (excluded), in UTC."""

    day: date
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Hours:
    """When a market trades. `holidays` has the days on which it does not, or the time at which it closes early."""

    zone: ZoneInfo
    weekdays: frozenset[int] = frozenset(range(5))
    sessions: tuple[tuple[time, time], ...] = ()
    holidays: Mapping[date, time | None] = field(default_factory=dict)

    def is_trading_day(self, day: date) -> bool:
        """Whether it opens at all."""
        if day in self.holidays:
            return self.holidays[day] is not None
        return day.weekday() in self.weekdays

    def close(self, day: date) -> datetime:
        """When trading ends on a trading day, in UTC; midnight for a market without sessions."""
        early = self.holidays.get(day)
        last = early or (self.sessions[-1][1] if self.sessions else None)
        if last is None:
            return _midnight(day + _DAY, self.zone)
        return datetime.combine(day, last, self.zone).astimezone(UTC)

    def on_or_after(self, day: date) -> date:
        """The first trading day that is not before `day`.

        Raises:
            NoTradingDay: there is none for so long that the calendar must be wrong.
        """
        return self._nearest(day, _DAY)

    def before(self, day: date) -> date:
        """The last trading day before `day`.

        Raises:
            NoTradingDay: as above.
        """
        return self._nearest(day - _DAY, -_DAY)

    def _nearest(self, day: date, step: timedelta) -> date:
        for number in range(LONGEST_BREAK):
            found = day + number * step
            if self.is_trading_day(found):
                return found
        raise NoTradingDay(f"no trading day in {LONGEST_BREAK} days from {day}")


@dataclass(frozen=True)
class DayPlan:
    """How time is divided into days: by the clock of `zone`, or by the closes of a market."""

    zone: ZoneInfo
    hours: Hours | None = None
    at_close: bool = False

    @property
    def season(self) -> int:
        """How many days make a week."""
        return len(self.hours.weekdays) if self.hours and self.at_close else 7

    def is_trading_day(self, day: date) -> bool:
        """Every day is one where no calendar says otherwise."""
        return self.hours is None or self.hours.is_trading_day(day)

    def day_of(self, moment: datetime) -> Day:
        """The day that `moment` belongs to; one of the clock where the calendar has no trading day near it."""
        if self.hours is not None and self.at_close:
            try:
                return self._by_close(moment, self.hours)
            except NoTradingDay:
                pass
        day = moment.astimezone(self.zone).date()
        return Day(day, _midnight(day, self.zone), _midnight(day + _DAY, self.zone))

    @staticmethod
    def _by_close(moment: datetime, hours: Hours) -> Day:
        day = hours.on_or_after(moment.astimezone(hours.zone).date())
        if moment >= hours.close(day):
            day = hours.on_or_after(day + _DAY)
        return Day(day, hours.close(hours.before(day)), hours.close(day))

    def days(self, start: datetime, end: datetime) -> list[Day]:
        """The days that [start, end) has a part of, in order, without gap or overlap."""
        found = []
        day = self.day_of(start)
        while day.start < end:
            found.append(day)
            day = self.day_of(day.end)
        return found

    def next_days(self, moment: datetime, count: int) -> list[Day]:
        """`count` days from that of `moment` on."""
        found = [self.day_of(moment)]
        while len(found) < count:
            found.append(self.day_of(found[-1].end))
        return found

    def next_time(self, at: time, after: datetime) -> datetime:
        """When the clock of `zone` next shows `at` on a trading day, later than `after`; in UTC."""
        day = after.astimezone(self.zone).date()
        for number in range(LONGEST_BREAK):
            moment = datetime.combine(day + number * _DAY, at, self.zone).astimezone(UTC)
            if moment > after and self.is_trading_day(day + number * _DAY):
                return moment
        raise NoTradingDay(f"no trading day in {LONGEST_BREAK} days from {day}")

    def previous_time(self, at: time, before: datetime) -> datetime:
        """When the clock of `zone` last showed `at` on a trading day, earlier than `before`; in UTC."""
        day = before.astimezone(self.zone).date()
        for number in range(LONGEST_BREAK):
            moment = datetime.combine(day - number * _DAY, at, self.zone).astimezone(UTC)
            if moment < before and self.is_trading_day(day - number * _DAY):
                return moment
        raise NoTradingDay(f"no trading day in {LONGEST_BREAK} days before {day}")


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def sessions_parse(text: str) -> list[list[str]]:
    """ "09:30-11:30, 13:00-15:00" as it is stored.

    Raises:
        ValueError: what is wrong, and with which session.
    """
    sessions: list[list[str]] = []
    for part in filter(None, (part.strip() for part in text.replace("–", "-").split(","))):
        begins, _dash, ends = (side.strip() for side in part.partition("-"))
        try:
            times = [time.fromisoformat(begins), time.fromisoformat(ends)]
        except ValueError as error:
            raise ValueError(f"{part}: a session is written like 09:30-11:30") from error
        if times[0].tzinfo or times[1].tzinfo or times[0] >= times[1]:
            raise ValueError(f"{part}: a session ends after it begins, on the same day")
        if sessions and sessions[-1][1] > f"{times[0]:%H:%M}":
            raise ValueError(f"{part}: it begins before the session ahead of it has ended")
        sessions.append([f"{moment:%H:%M}" for moment in times])
    return sessions


def sessions_text(sessions: Sequence[Sequence[str]]) -> str:
    """What `sessions_parse` reads."""
    return ", ".join(f"{begins}-{ends}" for begins, ends in sessions)


def sessions_times(sessions: Sequence[Sequence[str]]) -> tuple[tuple[time, time], ...]:
    """Stored sessions as times."""
    return tuple(
        (time.fromisoformat(begins), time.fromisoformat(ends)) for begins, ends in sessions
    )


@dataclass(frozen=True, slots=True)
class KnownMarket:
    """A calendar that comes with the product."""

    key: str
    name: str
    time_zone: str
    sessions: list[list[str]]
    holidays: list[tuple[date, str, time | None]]


@cache
def markets_known() -> dict[str, KnownMarket]:
    """The calendars of `markets.toml`, by key."""
    with Path(__file__).with_name("markets.toml").open("rb") as file:
        told = tomllib.load(file)
    return {key: _market(key, market) for key, market in told.items()}


def _market(key: str, told: dict[str, Any]) -> KnownMarket:
    return KnownMarket(
        key,
        told["name"],
        told["time_zone"],
        sessions_parse(told["sessions"]),
        sorted(_holidays(told)),
    )


def _holidays(told: dict[str, Any]) -> Iterator[tuple[date, str, time | None]]:
    for name, days in told["closed"].items():
        for day in days:
            yield day, name, None
    for name, days in told.get("early", {}).items():
        for day in days:
            yield day, name, told["early_close"]
