"""The time range of a page, kept in its address: `?range=24h` or `?from=…&to=…`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from rootstock.web.navigation import Text

PRESETS: dict[str, tuple[timedelta, Text]] = {
    "15m": (timedelta(minutes=15), _("last 15 minutes")),
    "1h": (timedelta(hours=1), _("last hour")),
    "6h": (timedelta(hours=6), _("last 6 hours")),
    "24h": (timedelta(hours=24), _("last 24 hours")),
    "7d": (timedelta(days=7), _("last 7 days")),
    "30d": (timedelta(days=30), _("last 30 days")),
    "90d": (timedelta(days=90), _("last 90 days")),
}


@dataclass(frozen=True)
class TimeRange:
    """From `start` (included) to `end` (excluded); `preset` is empty for a range of dates.

    `error` says in words why what stood in the address was not used.
    """

    start: datetime
    end: datetime
    preset: str = ""
    error: Text = ""

    @property
    def label(self) -> Text:
        """How the range is called next to a number."""
        if self.preset:
            return PRESETS[self.preset][1]
        start, end = timezone.localtime(self.start), timezone.localtime(self.end)
        return f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M}"

    @property
    def before(self) -> TimeRange:
        """The range of the same length just before, which changes are measured against."""
        return TimeRange(self.start - (self.end - self.start), self.start)


def _preset(key: str, error: Text = "") -> TimeRange:
    end = timezone.now()
    return TimeRange(end - PRESETS[key][0], end, key, error)


def time_range(request: HttpRequest, default: str = "24h") -> TimeRange:
    """The range that the address asks for; a bad one falls back to `default` and says why."""
    key = request.GET.get("range", "")
    if key in PRESETS:
        return _preset(key)
    start, end = _moment(request.GET.get("from", "")), _moment(request.GET.get("to", ""))
    if start and end and start < end:
        return TimeRange(start, end)
    if start and end:
        return _preset(default, _("The time range ends before it starts."))
    if key or request.GET.get("from") or request.GET.get("to"):
        return _preset(default, _("The time range in the address could not be read."))
    return _preset(default)


def _moment(text: str) -> datetime | None:
    """A moment, read in the organisation's time zone unless it names its own."""
    try:
        value = parse_datetime(text)
    except ValueError:
        return None
    if value is None:
        return None
    return timezone.make_aware(value) if timezone.is_naive(value) else value
