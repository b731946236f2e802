"""Alerts: what a rule saw on a subject, from its opening to its end, with the log of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models.alerting import (
    AlertChannel,
    AlertRoute,
    EscalationChain,
    Medium,
)
from apps.finance_sentiment.models.reports import DailyReport
from apps.finance_sentiment.models.rules import Rule, Subject, SubjectKind
from rootstock.tenancy.models import TenantModel


class AlertGroup(TenantModel):
    """Alerts that people are told of together, and how far its chain has come.

    `step` is the next step to be done, `next_at` when; null: nothing more happens unless an alert does.
    """

    class State(models.TextChoices):
        """From the first alert to the end of the last."""

        ACTIVE = "active", _("Active")
        ENDED = "ended", _("Ended")

    route = models.ForeignKey(
        AlertRoute, null=True, on_delete=models.SET_NULL, related_name="groups"
    )
    chain = models.ForeignKey(
        EscalationChain, null=True, on_delete=models.SET_NULL, related_name="groups"
    )
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.ACTIVE)
    step = models.PositiveSmallIntegerField(default=0)
    round = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    # the alerts that somebody was told of
    told = ArrayField(models.UUIDField(), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "fingerprint"],
                condition=models.Q(state="active"),
                name="finance_group_active_once",
            ),
        ]

    def __str__(self) -> str:
        return f"group {self.pk}"


class Alert(TenantModel):
    """What a rule saw on a subject, with the numbers and stories that show it.

    Times are event times, so an alert of a replay lies where its documents lie.
    """

    class State(models.TextChoices):
        """From its opening to its end."""

        OPEN = "open", _("Open")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        RESOLVED = "resolved", _("Resolved")

    class Muted(models.TextChoices):
        """Why nobody is told of it."""

        SILENCED = "silence", _("Silenced")
        INHIBITED = "wider", _("Part of a wider alert")

    # The rule may be deleted; its name and figures stay with the alert.
    rule = models.ForeignKey(Rule, null=True, on_delete=models.SET_NULL, related_name="alerts")
    rule_name = models.CharField(max_length=80, blank=True)
    kind = models.CharField(max_length=16, choices=SubjectKind.choices, default=SubjectKind.TOPIC)
    key = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    # the highest number of negative stories in one window, and the highest score (1 is the threshold)
    peak_negative = models.PositiveIntegerField(default=0)
    peak_score = models.FloatField(default=0.0)
    # {"opening": verdict, "latest": verdict, "series": [verdict…], "stories": [id…], "models": […], "rule": {…}}
    evidence = models.JSONField(default=dict)
    group = models.ForeignKey(
        AlertGroup, null=True, on_delete=models.SET_NULL, related_name="alerts"
    )
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Nobody is told of it: by which silence, or by which wider alert.
    muted = models.CharField(max_length=8, choices=Muted.choices, blank=True)
    muted_by = models.UUIDField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    comment = models.TextField(blank=True)
    # Who ended it by hand; empty when the surge did.
    resolved_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "rule", "kind", "key"],
                nulls_distinct=False,
                condition=~models.Q(state="resolved"),
                name="finance_alert_open_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organisation", "kind", "key", "-opened_at"], name="finance_alert_subject"
            ),
            models.Index(fields=["organisation", "-opened_at", "-id"], name="finance_alert_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.key} {self.opened_at.isoformat()}"

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.kind, self.key)

    @property
    def topic(self) -> str:
        """The topic it is about; "" for any other subject."""
        return self.key if self.kind == SubjectKind.TOPIC else ""


class AlertEntry(TenantModel):
    """One line of an alert's log: written once, never changed."""

    class Kind(models.TextChoices):
        """What happened."""

        OPENED = "opened", _("Opened")
        REOPENED = "reopened", _("Reopened")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        RESOLVED = "resolved", _("Resolved")
        ASSIGNED = "assigned", _("Assigned")
        COMMENTED = "commented", _("Comment")
        MUTED = "muted", _("Muted")
        UNMUTED = "unmuted", _("No longer muted")
        TOLD = "told", _("Told")
        UNDELIVERED = "undelivered", _("Could not be delivered")
        STEP_SKIPPED = "skipped", _("Step skipped")
        CHAIN_ENDED = "chain-ended", _("Everybody was told")

    alert = models.ForeignKey(Alert, on_delete=models.DO_NOTHING, related_name="entries")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    # event time; created_at is when it was noticed
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    comment = models.TextField(blank=True)
    # What else there is to know, such as {"medium", "target"} of "told"
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [models.Index(fields=["organisation", "alert", "id"], name="finance_alert_log")]
        verbose_name_plural = "alert entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.at.isoformat()}"


class Notification(TenantModel):
    """One message to one person or channel about the alerts of a group.

    Its id is the same at every try: receivers of webhooks know a repeated one by it.
    """

    class Reason(models.TextChoices):
        """Why it is sent."""

        FIRING = "firing", _("Alert")
        RESOLVED = "resolved", _("End of an alert")
        ASSIGNED = "assigned", _("Assigned")
        TEST = "test", _("Test")
        REPORT = "report", _("Daily report")

    class State(models.TextChoices):
        """How it stands."""

        WAITING = "waiting", _("Waiting")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        DROPPED = "dropped", _("Not needed any more")

    class Held(models.TextChoices):
        """Why it was not sent at once."""

        QUIET = "quiet", _("Quiet hours")
        DIGEST = "digest", _("Digest")

    group = models.ForeignKey(
        AlertGroup, null=True, on_delete=models.CASCADE, related_name="notifications"
    )
    # What it is about, for what is sent again; unique, so that no step tells anybody twice.
    token = models.CharField(max_length=200)
    reason = models.CharField(max_length=8, choices=Reason.choices)
    medium = models.CharField(max_length=8, choices=Medium.choices)
    channel = models.ForeignKey(
        AlertChannel, null=True, on_delete=models.SET_NULL, related_name="notifications"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    alerts = ArrayField(models.UUIDField(), default=list)
    # Set when the message brings a report and no alerts.
    report = models.ForeignKey(
        DailyReport, null=True, on_delete=models.CASCADE, related_name="notifications"
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    held = models.CharField(max_length=8, choices=Held.choices, blank=True)
    due_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    # It went with this one, in a digest.
    sent_with = models.UUIDField(null=True)
    subject = models.CharField(max_length=300, blank=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "token"], name="finance_notification_once"
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "group", "id"], name="finance_notification_group"),
            models.Index(
                fields=["organisation", "due_at"],
                condition=models.Q(state="waiting"),
                name="finance_notification_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} by {self.medium}"

    @property
    def target(self) -> tuple[str, uuid.UUID | None, uuid.UUID | None]:
        """Whom it is for."""
        return self.medium, self.channel_id, self.user_id


class NotificationAttempt(TenantModel):
    """One try to send a notification: written once, never changed."""

    notification = models.ForeignKey(
        Notification, on_delete=models.DO_NOTHING, db_constraint=False, related_name="attempts"
    )
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    milliseconds = models.PositiveIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "notification", "id"], name="finance_attempts"),
        ]

    def __str__(self) -> str:
        return self.error or str(self.status or "sent")
