"""Notifications: making them, and bringing each to whoever it is for, with tries until it is taken."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone, translation
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import (
    Alert,
    AlertChannel,
    AlertEntry,
    AlertGroup,
    DailyReport,
    Medium,
    NoticeSettings,
    Notification,
    NotificationAttempt,
)
from apps.finance_sentiment.reporting import report_write
from apps.finance_sentiment.selectors.alerts import alert_payload
from apps.finance_sentiment.services.alerting.log import entries_write
from apps.finance_sentiment.services.alerting.quiet import due_at
from apps.finance_sentiment.services.alerting.sending import Letter, Tried
from apps.finance_sentiment.services.alerting.texts import (
    Text,
    notification_text,
    report_data,
    webhook_data,
)
from rootstock.common.problems import Problem
from rootstock.outbox.services import outbox_write
from rootstock.realtime.services import event_append_many
from rootstock.tenancy.models import Membership, Organisation
from rootstock.tenancy.scope import current_organisation_id

TOPIC = "finance.notify"
STREAM = "finance.alerts"
# Before the second, third … seventh try.
WAITS = [timedelta(seconds=seconds) for seconds in (10, 60, 300, 900, 3600, 4 * 3600)]
MOST_IN_DIGEST = 200
_NEVER_HELD = (Notification.Reason.TEST, Notification.Reason.REPORT)


@dataclass(frozen=True, slots=True)
class Target:
    """One way to one person or channel."""

    medium: str
    channel: AlertChannel | None = None
    user_id: uuid.UUID | None = None
    settings: NoticeSettings | None = None

    @property
    def key(self) -> str:
        """The same for the same way."""
        return f"{self.medium}:{self.channel.pk if self.channel else self.user_id}"

    @property
    def tells_end(self) -> bool:
        """Whether it wants to hear that an alert is over."""
        return self.channel is None or self.channel.tells_end


# --- whom ------------------------------------------------------------------------------------------


def targets_of_channel(channel: AlertChannel | None) -> list[Target]:
    """The channel, if it is switched on."""
    if channel is None or not channel.enabled:
        return []
    return [Target(channel.medium, channel)]


def targets_of_role(role: str) -> list[Target]:
    """Everybody who has the role."""
    return targets_of_people(Membership.objects.filter(role=role).values_list("user_id", flat=True))


def targets_of_people(user_ids: Iterable[uuid.UUID]) -> list[Target]:
    """People by the ways they want: always in the application, and by channels of their own or else by e-mail.

    Who has left the organisation, or may not sign in any more, is left out.
    """
    members = Membership.objects.filter(user_id__in=list(user_ids), user__is_active=True)
    wishes = {row.user_id: row for row in NoticeSettings.objects.all()}
    own: dict[uuid.UUID, list[AlertChannel]] = {}
    for channel in AlertChannel.objects.filter(owner__isnull=False, enabled=True).order_by("id"):
        if channel.owner_id is not None:
            own.setdefault(channel.owner_id, []).append(channel)
    targets = []
    for user_id in members.order_by("id").values_list("user_id", flat=True):
        wish = wishes.get(user_id)
        targets.append(Target(Medium.IN_APP, user_id=user_id, settings=wish))
        if user_id in own:
            targets += [Target(c.medium, c, user_id, wish) for c in own[user_id]]
        elif wish is None or wish.by_email:
            targets.append(Target(Medium.EMAIL, user_id=user_id, settings=wish))
    return targets


def targets_told(group: AlertGroup) -> list[Target]:
    """Those who were told of a group that goes on."""
    sent = group.notifications.filter(reason=Notification.Reason.FIRING).select_related("channel")
    wishes = {row.user_id: row for row in NoticeSettings.objects.all()}
    targets: dict[str, Target] = {}
    for row in sent.order_by("id"):
        if row.channel is None and row.user_id is None:
            continue
        if row.channel is not None and not row.channel.enabled:
            continue
        wish = wishes.get(row.user_id) if row.user_id else None
        target = Target(row.medium, row.channel, row.user_id, wish)
        targets.setdefault(target.key, target)
    return list(targets.values())


# --- making ----------------------------------------------------------------------------------------


def notifications_make(
    *,
    targets: Sequence[Target],
    alerts: Sequence[Alert],
    reason: Notification.Reason,
    token: str,
    group: AlertGroup | None = None,
    report: DailyReport | None = None,
    now: datetime | None = None,
) -> list[Notification]:
    """One notification for each target that has none of this token yet; each is sent when its target wants it.

    A report comes at the time that the organisation has chosen for it, so neither quiet hours nor a digest hold it.
    """
    now = now or timezone.now()
    zone = ZoneInfo(_organisation().time_zone)
    score = max((alert.peak_score for alert in alerts), default=0.0)
    made = []
    for target in targets:
        is_here = target.medium == Medium.IN_APP
        due = due_at(
            now,
            [] if is_here or reason in _NEVER_HELD else _wishes(target),
            score=score,
            default_zone=zone,
        )
        row, is_new = Notification.objects.get_or_create(
            token=f"{token}:{target.key}"[:200],
            defaults={
                "group": group,
                "reason": reason,
                "medium": target.medium,
                "channel": target.channel,
                "user_id": target.user_id,
                "alerts": [alert.pk for alert in alerts],
                "report": report,
                "due_at": due.at,
                "held": due.held,
                "state": Notification.State.SENT if is_here else Notification.State.WAITING,
                "sent_at": now if is_here else None,
            },
        )
        if is_new:
            made.append(row)
            if not is_here:
                outbox_write(TOPIC, {"notification_id": str(row.pk)}, available_at=due.at)
    here = [row for row in made if row.medium == Medium.IN_APP]
    for row in here:
        entries_write(alerts, AlertEntry.Kind.TOLD, details=_details(row))
    _announce(alerts, here)
    return made


def _wishes(target: Target) -> list[NoticeSettings | AlertChannel | None]:
    return [target.settings, target.channel]


def _announce(alerts: Sequence[Alert], here: Sequence[Notification]) -> None:
    if not here:
        return
    people = [str(row.user_id) for row in here]
    event_append_many(
        STREAM,
        [("alert.notified", {**alert_payload(alert), "people": people}) for alert in alerts],
    )


def _details(row: Notification) -> dict[str, str]:
    """What the log says of a message."""
    name = row.channel.name if row.channel else ""
    if not name and row.user is not None:
        name = str(row.user)
    return {"medium": row.medium, "target": name, "reason": row.reason, "notification": str(row.pk)}


# --- sending ---------------------------------------------------------------------------------------


def letter_read(notification_id: str, *, now: datetime | None = None) -> Letter | None:
    """The message ready to be sent; None when there is nothing to send, or another one takes it along.

    What was held for quiet hours or a digest goes in one message: the first that is due takes all others that wait
    for the same target.
    """
    now = now or timezone.now()
    first = (
        Notification.objects.select_for_update(of=("self",))
        .select_related("channel", "user", "report")
        .filter(pk=notification_id, state=Notification.State.WAITING)
        .first()
    )
    if first is None or first.sent_with not in (None, first.pk):
        return None
    batch = _batch(first, now)
    alerts = _alerts(batch)
    address = first.channel.address if first.channel else _email_of(first)
    if not address or (first.channel and not first.channel.enabled):
        _drop(batch)
        return None
    if not alerts and first.report is None and first.reason != Notification.Reason.TEST:
        _drop(batch)
        return None
    organisation = _organisation()
    language = (first.user.language if first.user else "") or organisation.language
    reason = first.reason if len({row.reason for row in batch}) == 1 else "firing"
    zone = ZoneInfo(organisation.time_zone)
    page, data = "", {}
    with translation.override(language):
        if first.report is not None:
            written = report_write(first.report, zone=zone)
            text, page = Text(written.subject, written.text), written.page
            data = report_data(first.report)
        else:
            text = notification_text(reason, alerts, zone=zone)
            data = webhook_data(reason, alerts)
    Notification.objects.filter(pk__in=[row.pk for row in batch]).update(
        sent_with=first.pk, subject=text.subject
    )
    return Letter(
        id=str(first.pk),
        medium=first.medium,
        address=address,
        subject=text.subject,
        body=text.body,
        secret=first.channel.secret if first.channel else "",
        data=data if first.medium == Medium.WEBHOOK else {},
        page=page,
    )


def notification_tried(
    notification_id: str, tried: Tried | None, *, now: datetime | None = None
) -> None:
    """Note what came of a try: sent, another one later, or given up."""
    if tried is None:
        return
    now = now or timezone.now()
    row = (
        Notification.objects.select_for_update(of=("self",))
        .select_related("channel", "user")
        .filter(pk=notification_id, state=Notification.State.WAITING)
        .first()
    )
    if row is None:
        return
    NotificationAttempt.objects.create(
        notification=row,
        status=tried.status,
        error=tried.error,
        milliseconds=tried.milliseconds,
    )
    batch = Notification.objects.filter(sent_with=row.pk, state=Notification.State.WAITING)
    alerts = _alerts(list(batch))
    tries = row.tries + 1
    if tried.accepted:
        batch.update(
            state=Notification.State.SENT, sent_at=now, tries=tries, problem="", updated_at=now
        )
        entries_write(alerts, AlertEntry.Kind.TOLD, details=_details(row))
    elif tried.final or tries > len(WAITS):
        batch.update(
            state=Notification.State.FAILED, tries=tries, problem=tried.error, updated_at=now
        )
        entries_write(
            alerts,
            AlertEntry.Kind.UNDELIVERED,
            details={**_details(row), "problem": tried.error},
        )
    else:
        due = now + WAITS[tries - 1]
        batch.update(tries=tries, problem=tried.error, due_at=due, updated_at=now)
        outbox_write(TOPIC, {"notification_id": str(row.pk)}, available_at=due)
    if row.channel_id is not None:
        health = (
            {"last_success_at": now, "problem": ""} if tried.accepted else {"problem": tried.error}
        )
        AlertChannel.objects.filter(pk=row.channel_id).update(**health)


def notification_give_up(notification_id: str, problem: str) -> None:
    """No worker survived the sending of it."""
    Notification.objects.filter(pk=notification_id, state=Notification.State.WAITING).update(
        state=Notification.State.FAILED, problem=problem[:300], updated_at=timezone.now()
    )


def notification_retry(*, notification: Notification) -> Notification:
    """Try one again that failed, at once and with the same id.

    Raises:
        Problem: 409 when it did not fail.
    """
    if notification.state != Notification.State.FAILED:
        raise Problem(409, "not-failed", _("Only what failed can be sent again."))
    notification.state = Notification.State.WAITING
    notification.sent_with = None
    notification.tries = 0
    notification.held = ""
    notification.due_at = timezone.now()
    notification.save()
    outbox_write(TOPIC, {"notification_id": str(notification.pk)})
    return notification


def _batch(first: Notification, now: datetime) -> list[Notification]:
    """It, what it took along at an earlier try, and what else is held and due for the same target."""
    if not first.held:
        return [first]
    waiting = Notification.objects.select_for_update(of=("self",)).filter(
        state=Notification.State.WAITING,
        medium=first.medium,
        channel=first.channel,
        user=first.user,
    )
    mine = waiting.filter(sent_with=first.pk)
    others = waiting.filter(sent_with__isnull=True, due_at__lte=now).exclude(held="")
    batch = {row.pk: row for row in [first, *mine, *others.order_by("id")[:MOST_IN_DIGEST]]}
    return list(batch.values())


def _alerts(batch: Collection[Notification]) -> list[Alert]:
    """The alerts that they are about, each once, as they are now."""
    wanted = list(dict.fromkeys(alert for row in batch for alert in row.alerts))
    found = {alert.pk: alert for alert in Alert.objects.filter(pk__in=wanted)}
    return [found[pk] for pk in wanted if pk in found]


def _drop(batch: Sequence[Notification]) -> None:
    Notification.objects.filter(pk__in=[row.pk for row in batch]).update(
        state=Notification.State.DROPPED, updated_at=timezone.now()
    )


def _email_of(row: Notification) -> str:
    return row.user.email if row.user is not None else ""


def _organisation() -> Organisation:
    return Organisation.objects.get(pk=current_organisation_id())
