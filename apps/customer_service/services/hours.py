"""When people answer: opening times by the wall clock of a zone, and the time that passes within them.

Times of day are local, durations are real: on the day of a change of the clock a shift from 01:00 to 05:00 has three
hours or five, and a timer counts those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apps.customer_service.models import Channel
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import current_organisation_id

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Nobody plans further: a channel that is closed for longer has no hours.
HORIZON_DAYS = 370
_WHOLE_DAY = (("00:00", "24:00"),)


@dataclass(frozen=True)
class Hours:
    """Opening times of a week, Monday first, as ("09:00", "18:00"); an end before its start is of the next day."""

    week: tuple[tuple[tuple[str, str], ...], ...]
    holidays: frozenset[date]
    zone: ZoneInfo

    def spans(self, after: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Opening times in UTC that end after the moment, in order."""
        day = after.astimezone(self.zone).date() - timedelta(days=1)
        for _ in range(HORIZON_DAYS):
            if day not in self.holidays:
                for opening, closing in self.week[day.weekday()]:
                    start, end = self._at(day, opening), self._at(day, closing)
                    if end <= start:
                        end = self._at(day + timedelta(days=1), closing)
                    if end > after:
                        yield start, end
            day += timedelta(days=1)

    def is_open(self, at: datetime) -> bool:
        """Whether people answer at the moment."""
        return any(start <= at for start, _end in self._first(at))

    def next_open(self, at: datetime) -> datetime | None:
        """When people answer again: the moment itself while they do, None when they never will."""
        return next((max(start, at) for start, _end in self._first(at)), None)

    def after(self, start: datetime, seconds: float) -> datetime | None:
        """The moment by which so many open seconds have passed since `start`; None when there are never so many."""
        left = timedelta(seconds=seconds)
        reached = start.astimezone(UTC)
        for opening, closing in self.spans(start):
            reached = max(opening, reached)
            if reached + left <= closing:
                return reached + left
            left -= max(closing - reached, timedelta())
            reached = max(reached, closing)
        return None

    def _first(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        for span in self.spans(at):
            yield span
            return

    def _at(self, day: date, clock: str) -> datetime:
        if clock == "24:00":
            day, clock = day + timedelta(days=1), "00:00"
        local = datetime.combine(day, time.fromisoformat(clock), tzinfo=self.zone)
        return local.astimezone(UTC)


def hours_of(channel: Channel | None) -> Hours:
    """The opening times of a channel in its organisation's time zone; without any people are always there."""
    stated = channel.business_hours if channel is not None else {}
    week = tuple(
        tuple(sorted((opening, closing) for opening, closing in stated.get(day, ())))
        if any(stated.values())
        else _WHOLE_DAY
        for day in DAYS
    )
    holidays = frozenset(channel.holidays) if channel is not None else frozenset()
    zone = Organisation.objects.values_list("time_zone", flat=True).get(
        pk=current_organisation_id()
    )
    return Hours(week, holidays, ZoneInfo(zone))
