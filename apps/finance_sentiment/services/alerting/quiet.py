"""Quiet hours and digests: when a message that is due now may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apps.finance_sentiment.models.alerting import QuietTimes

QUIET, DIGEST = "quiet", "digest"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Due:
    """When a message goes, and what it waits for ("" for nothing)."""

    at: datetime
    held: str = ""


def quiet_until(
    moment: datetime, *, begins: time, ends: time, days: Iterable[int], zone: ZoneInfo
) -> datetime | None:
    """The end of the quiet period that `moment` lies in; None when it lies in none.

    A period begins on each of `days` (0 is Monday; all when empty) and goes over midnight when it begins later
    than it ends. The clock is that of `zone`, so it may be an hour longer or shorter when the clocks change.
    """
    wanted = frozenset(days)
    today = moment.astimezone(zone).date()
    for day in (today - _DAY, today):
        if wanted and day.weekday() not in wanted:
            continue
        last = day + _DAY if ends <= begins else day
        # In UTC: datetimes of one zone are compared by their clocks, which is wrong when those change.
        start = datetime.combine(day, begins, zone).astimezone(UTC)
        end = datetime.combine(last, ends, zone).astimezone(UTC)
        if start <= moment < end:
            return end
    return None


def digest_at(moment: datetime, *, minutes: int, zone: ZoneInfo) -> datetime:
    """The next time a digest goes: every `minutes` since local midnight, and at midnight.

    It is later than `moment` and by no more than `minutes`.
    """
    local = moment.astimezone(zone)
    midnight = datetime.combine(local.date(), time(), zone).astimezone(UTC)
    following = datetime.combine(local.date() + _DAY, time(), zone).astimezone(UTC)
    step = timedelta(minutes=minutes)
    passed = (moment - midnight) // step
    return min(midnight + (passed + 1) * step, following)


def due_at(
    now: datetime, wishes: Iterable[QuietTimes | None], *, score: float, default_zone: ZoneInfo
) -> Due:
    """When a message of alerts with at most `score` may go, as all of `wishes` want it.

    What is urgent for one of them is not held by that one.
    """
    due = Due(now)
    for wish in wishes:
        if wish is None or (wish.urgent_score is not None and score >= wish.urgent_score):
            continue
        due = _later(due, _due_for(due.at, wish, default_zone))
    return due


def _due_for(moment: datetime, wish: QuietTimes, default_zone: ZoneInfo) -> Due:
    zone = ZoneInfo(wish.time_zone) if wish.time_zone else default_zone
    due = Due(moment)
    if wish.digest_minutes:
        due = Due(digest_at(moment, minutes=wish.digest_minutes, zone=zone), DIGEST)
    if wish.quiet_from is not None and wish.quiet_until is not None:
        end = quiet_until(
            due.at,
            begins=wish.quiet_from,
            ends=wish.quiet_until,
            days=wish.quiet_days,
            zone=zone,
        )
        if end is not None:
            due = Due(end, QUIET)
    return due


def _later(one: Due, other: Due) -> Due:
    return other if other.at > one.at else one
