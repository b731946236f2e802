"""When the next daily report is due."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import ReportSettings
from apps.finance_sentiment.selectors.calendars import day_plan
from apps.finance_sentiment.trading import NoTradingDay
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import invalid


def report_settings_get() -> ReportSettings:
    """Those of the organisation, or what holds while nobody has said anything: no reports."""
    return ReportSettings.objects.first() or ReportSettings()


def report_settings_save(*, actor: Actor, enabled: bool, at: time) -> ReportSettings:
    """Switch the daily report on or off, and say when it is made.

    Raises:
        Problem: 422 when the calendar has no day on which it could be.
    """
    row = report_settings_get()
    row.enabled, row.at = enabled, at.replace(second=0, microsecond=0)
    row.save()
    report_plan(row=row, strict=True)
    audit_record(
        actor=actor,
        action="finance.report.settings",
        target="daily report",
        target_id=str(row.pk),
        changes={"enabled": enabled, "at": f"{row.at:%H:%M}"},
    )
    return row


def report_plan(
    *, row: ReportSettings | None = None, now: datetime | None = None, strict: bool = False
) -> None:
    """Set the time of the next report, after a change of its settings or of the calendar.

    Raises:
        Problem: 422, if `strict`, when the calendar has no day for it.
    """
    row = row or ReportSettings.objects.first()
    if row is None:
        return
    next_at: Any = None
    try:
        if row.enabled:
            next_at = day_plan().next_time(row.at, now or timezone.now())
    except NoTradingDay as error:
        if strict:
            raise invalid(
                "/at", _("The trading calendar has no trading day in the next weeks.")
            ) from error
    ReportSettings.objects.filter(pk=row.pk).update(next_at=next_at)
    row.next_at = next_at
