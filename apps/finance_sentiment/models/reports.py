"""Trading days, and the daily report: when it is made, who gets it, and what it said."""

from __future__ import annotations

import uuid
from datetime import time

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models.alerting import AlertChannel
from rootstock.tenancy.models import TenantModel


def working_days() -> list[int]:
    """Monday to Friday."""
    return [0, 1, 2, 3, 4]


class TradingCalendar(TenantModel):
    """When a market trades: its weekdays and hours, less its holidays.

    The main calendar of an organisation decides on which days reports are made and, with `days_end` at the close,
    what a day is: all that is published from one close to the next.
    """

    class DaysEnd(models.TextChoices):
        """Where one day of signals, forecasts and reports ends and the next begins."""

        MIDNIGHT = "midnight", _("At midnight in the organisation's time zone")
        CLOSE = "close", _("At the close: what comes after it belongs to the next trading day")

    name = models.CharField(max_length=80)
    time_zone = models.CharField(max_length=64)
    # 0 is Monday
    weekdays = ArrayField(models.PositiveSmallIntegerField(), default=working_days)
    # [["09:30", "11:30"], ["13:00", "15:00"]], in order
    sessions = models.JSONField(default=list)
    is_main = models.BooleanField(default=False)
    days_end = models.CharField(max_length=8, choices=DaysEnd.choices, default=DaysEnd.MIDNIGHT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "name"], name="finance_calendar_name_once"
            ),
            models.UniqueConstraint(
                fields=["organisation"],
                condition=models.Q(is_main=True),
                name="finance_calendar_main_once",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TradingHoliday(TenantModel):
    """A day on which a market that would trade does not, or closes early."""

    calendar = models.ForeignKey(TradingCalendar, on_delete=models.CASCADE, related_name="holidays")
    calendar_id: uuid.UUID
    day = models.DateField()
    name = models.CharField(max_length=80, blank=True)
    # null: closed all day
    closes_at = models.TimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["calendar", "day"], name="finance_holiday_once"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.name}"


class ReportSettings(TenantModel):
    """When the daily report is made, in the organisation's time zone."""

    enabled = models.BooleanField(default=False)
    at = models.TimeField(default=time(8, 0))
    # null: not on its way
    next_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation"], name="finance_report_settings_once"),
        ]
        indexes = [
            models.Index(
                fields=["next_at"],
                name="finance_report_due",
                condition=models.Q(next_at__isnull=False),
            ),
        ]
        verbose_name_plural = "report settings"

    def __str__(self) -> str:
        return f"daily report at {self.at}"


class ReportSubscription(TenantModel):
    """Somebody, or a channel, that every daily report is sent to."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+"
    )
    channel = models.ForeignKey(
        AlertChannel, null=True, on_delete=models.CASCADE, related_name="reports"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "user", "channel"],
                nulls_distinct=False,
                name="finance_subscription_once",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user or self.channel)


class DailyReport(TenantModel):
    """What was said in [starts_at, ends_at), as it was known when the report was made.

    `content` holds figures and names, no sentences, so that one report can be read in every language;
    `selectors.reports` makes and describes it.
    """

    day = models.DateField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    content = models.JSONField(default=dict)
    # when subscribers were told; a report that is made again is not sent again
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "day"], name="finance_report_once"),
        ]

    def __str__(self) -> str:
        return f"report of {self.day}"
