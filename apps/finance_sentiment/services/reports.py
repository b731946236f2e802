"""The daily report: making it, sending it, and who gets it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import (
    AlertChannel,
    DailyReport,
    Notification,
    ReportSettings,
    ReportSubscription,
)
from apps.finance_sentiment.selectors.calendars import day_plan, organisation_zone
from apps.finance_sentiment.selectors.reports import report_content, subscriptions
from apps.finance_sentiment.services.alerting.notifying import (
    Target,
    notifications_make,
    targets_of_channel,
    targets_of_people,
)
from apps.finance_sentiment.services.report_times import report_plan, report_settings_get
from apps.finance_sentiment.trading import NoTradingDay
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.models import Membership

TOPIC = "finance.report"
MOST_SUBSCRIPTIONS = 500
# After a longer break than any holidays a report does not reach back to the one before.
_LONGEST = timedelta(days=14)
# What was due longer ago is made, but nobody wants it in the mail any more.
_STALE = timedelta(hours=24)


def report_request() -> None:
    """Have the report that is due made by a worker."""
    outbox_write(TOPIC, {}, coalesce_key="due")


def report_due_make(*, now: datetime | None = None) -> DailyReport | None:
    """Make and send the report that is due, and set the time of the next; None when none is."""
    now = now or timezone.now()
    row = ReportSettings.objects.select_for_update().first()
    if row is None or row.next_at is None or row.next_at > now:
        return None
    due = row.next_at
    report = report_make(ends_at=due)
    if now - due < _STALE:
        report_send(report=report)
    report_plan(row=row, now=due)
    return report


def report_make(*, ends_at: datetime | None = None) -> DailyReport:
    """The report of what was said until `ends_at` (now), since the time at which the one before was due.

    There is one a day: made again, it takes the place of the earlier one.
    """
    ends_at = ends_at or timezone.now()
    starts_at = _starts_at(ends_at)
    report, _is_new = DailyReport.objects.update_or_create(
        day=ends_at.astimezone(organisation_zone()).date(),
        defaults={
            "starts_at": starts_at,
            "ends_at": ends_at,
            "content": report_content(start=starts_at, end=ends_at),
        },
    )
    return report


def _starts_at(ends_at: datetime) -> datetime:
    try:
        before = day_plan().previous_time(report_settings_get().at, ends_at)
    except NoTradingDay:
        return ends_at - timedelta(days=1)
    return max(before, ends_at - _LONGEST)


def report_send(*, report: DailyReport, now: datetime | None = None) -> list[Notification]:
    """Tell everybody who wants it; whoever was told of this report already is not told again."""
    people: list[uuid.UUID] = []
    targets: list[Target] = []
    for row in subscriptions():
        if row.user_id is not None:
            people.append(row.user_id)
        else:
            targets += targets_of_channel(row.channel)
    targets += [target for target in targets_of_people(people) if target.medium != "in_app"]
    made = notifications_make(
        targets=targets,
        alerts=[],
        reason=Notification.Reason.REPORT,
        token=f"report:{report.pk}",
        report=report,
    )
    if report.sent_at is None and targets:
        report.sent_at = now or timezone.now()
        report.save(update_fields=["sent_at", "updated_at"])
    return made


def subscription_add(
    *, actor: Actor, user_id: uuid.UUID | None = None, channel_id: uuid.UUID | None = None
) -> ReportSubscription:
    """Send every report to a member, by the ways they want, or to a shared channel. Twice is once.

    Raises:
        Problem: 422 when neither or both are given, or they are not of this organisation; 409 when there are too many.
    """
    if (user_id is None) == (channel_id is None):
        raise invalid("/user", _("A report goes to a person or to a channel."))
    if user_id is not None and not Membership.objects.filter(user_id=user_id).exists():
        raise invalid("/user", _("Nobody of this organisation."))
    shared = AlertChannel.objects.filter(owner__isnull=True)
    if channel_id is not None and not shared.filter(pk=channel_id).exists():
        raise invalid("/channel", _("There is no shared channel of this id."))
    if ReportSubscription.objects.count() >= MOST_SUBSCRIPTIONS:
        detail = _("At most %(most)d subscriptions.") % {"most": MOST_SUBSCRIPTIONS}
        raise Problem(409, "too-many", detail)
    chosen: dict[str, Any] = {"user_id": user_id, "channel_id": channel_id}
    row, is_new = ReportSubscription.objects.get_or_create(**chosen)
    if is_new:
        _record(actor, "subscribe", row)
    return row


def subscription_remove(*, subscription: ReportSubscription, actor: Actor) -> None:
    """Send no further reports there."""
    _record(actor, "unsubscribe", subscription)
    subscription.delete()


def _record(actor: Actor, action: str, row: ReportSubscription) -> None:
    audit_record(
        actor=actor,
        action=f"finance.report.{action}",
        target=f"daily report to {row}",
        target_id=str(row.pk),
    )
