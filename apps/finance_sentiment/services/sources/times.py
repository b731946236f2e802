"""Times as publishers write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from email.utils import parsedate_to_datetime

from dateutil import parser as lenient

# Names that RFC 822 does not know, in seconds from UTC: feeds use them all the same.
_ZONES = {
    "UTC": 0, "GMT": 0, "Z": 0, "EST": -18000, "EDT": -14400, "CST": -21600, "CDT": -18000, "PST": -28800,
    "PDT": -25200, "BST": 3600, "CET": 3600, "CEST": 7200, "JST": 32400, "HKT": 28800, "SGT": 28800, "IST": 19800,
}  # fmt: skip
_CHINESE = re.compile(
    r"(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]?\s*(?:(\d{1,2})\s*[:：时]\s*(\d{1,2}))?"
)
# A year or a time of day: else "Part 12" would be the twelfth.
_DIGITS = re.compile(r"\d{4}|\d{1,2}:\d{2}")
_SPOKEN = re.compile(r"[前天秒]|ago|yesterday|minute|hour", re.IGNORECASE)
_LONGEST = 100


def time_parse(text: str, *, zone: tzinfo = UTC, spoken: bool = False) -> datetime | None:
    """The moment in UTC; None for what is no time.

    Args:
        zone: of a time that names none.
        spoken: also "3小时前", "昨天 12:30" and "5 minutes ago", as pages write; costs more.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    moment = _rfc822(text) or _iso(text) or _chinese(text)
    if moment is None and spoken and _SPOKEN.search(text):
        moment = _spoken(text, zone)
    if moment is None and _DIGITS.search(text):
        moment = _lenient(text)
    if moment is None:
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _rfc822(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    zone = text.rsplit(" ", 1)[-1]
    if moment.tzinfo is None and zone in _ZONES:
        return None
    return moment.replace(tzinfo=UTC) if zone == "-0000" else moment


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _chinese(text: str) -> datetime | None:
    found = _CHINESE.search(text)
    if not found:
        return None
    year, month, day, hour, minute = (int(part or 0) for part in found.groups())
    try:
        return datetime(year, month, day, hour, minute)  # noqa: DTZ001 - the caller knows the zone
    except ValueError:
        return None


def _lenient(text: str) -> datetime | None:
    try:
        moment: datetime = lenient.parse(text, tzinfos=_ZONES)
    except (ValueError, OverflowError, TypeError):
        return None
    return moment


def _spoken(text: str, zone: tzinfo) -> datetime | None:
    import dateparser  # reads its languages when it is first used

    now = datetime.now(zone).replace(tzinfo=None)
    moment: datetime | None = dateparser.parse(
        text, languages=["en", "zh"], settings={"RELATIVE_BASE": now}
    )
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=zone)
