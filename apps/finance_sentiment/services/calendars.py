"""Trading calendars: adding, changing, and filling in their holidays."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any
from zoneinfo import available_timezones

from django.utils.translation import gettext as _

from apps.finance_sentiment.models import TradingCalendar, TradingHoliday
from apps.finance_sentiment.services.report_times import report_plan
from apps.finance_sentiment.trading import markets_known, sessions_parse, sessions_text
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid

MOST = 20
MOST_HOLIDAYS = 2000
FIELDS = ("name", "time_zone", "weekdays", "sessions", "is_main", "days_end")
_EARLIEST, _LATEST = date(1990, 1, 1), date(2100, 1, 1)


@dataclass(frozen=True, slots=True)
class HolidayInput:
    """A day on which a market is closed, or closes early."""

    day: date
    name: str = ""
    closes_at: time | None = None


def calendar_save(
    *, calendar: TradingCalendar | None, actor: Actor, values: Mapping[str, Any]
) -> TradingCalendar:
    """Add a calendar, or change what is given of one; sessions are a text. The main one is no other any more.

    Raises:
        Problem: 422 that says what is wrong, and where; 409 when there are too many.
    """
    is_new = calendar is None
    if is_new and TradingCalendar.objects.count() >= MOST:
        raise Problem(409, "too-many", _("There are at most %(most)d calendars.") % {"most": MOST})
    calendar = calendar or TradingCalendar(time_zone="UTC")
    for field in FIELDS:
        if field in values:
            setattr(calendar, field, values[field])
    if "sessions" in values:
        calendar.sessions = _sessions(values["sessions"])
    _check(calendar)
    if calendar.is_main:
        TradingCalendar.objects.filter(is_main=True).exclude(pk=calendar.pk).update(is_main=False)
    calendar.save()
    _record(actor, "create" if is_new else "update", calendar, {"fields": sorted(values)})
    report_plan()
    return calendar


def calendar_delete(*, calendar: TradingCalendar, actor: Actor) -> None:
    """Forget a calendar; without a main one every day is a working day."""
    _record(actor, "delete", calendar, {})
    calendar.delete()
    report_plan()


def calendar_install(*, key: str, actor: Actor) -> TradingCalendar:
    """Add one of the calendars that come with the product; one of its name is there: its missing holidays are added.

    Raises:
        Problem: 422 for a market that is not known.
    """
    market = markets_known().get(key)
    if market is None:
        raise invalid("/market", _("Not one of %(known)s.") % {"known": ", ".join(markets_known())})
    calendar = TradingCalendar.objects.filter(name=market.name).first()
    if calendar is None:
        values = {
            "name": market.name,
            "time_zone": market.time_zone,
            "sessions": sessions_text(market.sessions),
            "is_main": not TradingCalendar.objects.filter(is_main=True).exists(),
        }
        calendar = calendar_save(calendar=None, actor=actor, values=values)
    known = set(calendar.holidays.values_list("day", flat=True))
    holidays = [HolidayInput(*told) for told in market.holidays if told[0] not in known]
    if holidays:
        holidays_put(calendar=calendar, holidays=holidays, actor=actor)
    return calendar


def holidays_put(
    *, calendar: TradingCalendar, holidays: Sequence[HolidayInput], actor: Actor
) -> int:
    """Add holidays; a day that is one already takes the new name and hour. Returns how many were given.

    Raises:
        Problem: 422 that says what is wrong, and where.
    """
    days: dict[date, HolidayInput] = {}
    for place, holiday in enumerate(holidays):
        if not _EARLIEST <= holiday.day < _LATEST:
            raise invalid(f"/holidays/{place}/day", _("A day from 1990 to 2099."))
        if len(holiday.name) > 80:
            raise invalid(f"/holidays/{place}/name", _("A name has at most 80 characters."))
        days[holiday.day] = holiday
    others = calendar.holidays.exclude(day__in=list(days)).count()
    if others + len(days) > MOST_HOLIDAYS:
        raise invalid("/holidays", _("At most %(most)d holidays.") % {"most": MOST_HOLIDAYS})
    TradingHoliday.objects.bulk_create(
        [
            TradingHoliday(
                calendar=calendar, day=one.day, name=one.name.strip(), closes_at=one.closes_at
            )
            for one in days.values()
        ],
        update_conflicts=True,
        unique_fields=["calendar", "day"],
        update_fields=["name", "closes_at", "updated_at"],
    )
    _record(actor, "holidays", calendar, {"added": len(days)})
    report_plan()
    return len(days)


def holiday_delete(*, holiday: TradingHoliday, actor: Actor) -> None:
    """The market trades on that day after all."""
    _record(actor, "holidays", holiday.calendar, {"removed": str(holiday.day)})
    holiday.delete()
    report_plan()


def holidays_parse(text: str) -> list[HolidayInput]:
    """Holidays from CSV with the columns day, name and closes_at, of which only the first is needed.

    A header is not; days are written 2026-02-17, hours 12:00. Lines that begin with # are left out.

    Raises:
        ValueError: what is wrong, and in which line.
    """
    found = []
    try:
        lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    except csv.Error as error:
        raise ValueError(_("Not a CSV file: %(error)s.") % {"error": error}) from error
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line]
        if not any(cells) or cells[0].startswith("#") or (number == 1 and cells[0] == "day"):
            continue
        name, hour = (*cells[1:3], "", "")[:2]
        try:
            day = date.fromisoformat(cells[0])
        except ValueError as error:
            raise ValueError(
                _("Line %(line)d: “%(text)s” is not a day such as 2026-02-17.")
                % {"line": number, "text": cells[0][:40]}
            ) from error
        try:
            closes_at = time.fromisoformat(hour) if hour else None
        except ValueError as error:
            raise ValueError(
                _("Line %(line)d: “%(text)s” is not an hour such as 12:00.")
                % {"line": number, "text": hour[:40]}
            ) from error
        found.append(HolidayInput(day, name, closes_at))
    return found


def _check(calendar: TradingCalendar) -> None:
    calendar.name = calendar.name.strip()
    if not calendar.name or len(calendar.name) > 80:
        raise invalid("/name", _("A name has 1 to 80 characters."))
    if TradingCalendar.objects.filter(name=calendar.name).exclude(pk=calendar.pk).exists():
        raise invalid("/name", _("There is a calendar of this name already."))
    if calendar.time_zone not in available_timezones():
        raise invalid("/time_zone", _("Not a time zone, such as Asia/Shanghai."))
    calendar.weekdays = sorted(set(calendar.weekdays))
    if not calendar.weekdays or any(not 0 <= day <= 6 for day in calendar.weekdays):
        raise invalid(
            "/weekdays", _("One or more weekdays, as numbers from 0, Monday, to 6, Sunday.")
        )


def _sessions(text: str) -> list[list[str]]:
    try:
        return sessions_parse(text)
    except ValueError as error:
        raise invalid("/sessions", str(error)) from error


def _record(actor: Actor, action: str, calendar: TradingCalendar, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"finance.calendar.{action}",
        target=f"trading calendar {calendar.name}",
        target_id=str(calendar.pk),
        changes=changes or None,
    )
