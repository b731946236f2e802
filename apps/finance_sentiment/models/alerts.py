"""Alerts: what a rule saw on a subject, from its opening to its end, with the log of it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models.rules import Rule, Subject, SubjectKind
from rootstock.tenancy.models import TenantModel


class Alert(TenantModel):
    """What a rule saw on a subject, with the numbers and stories that show it.

    Times are event times, so an alert of a replay lies where its documents lie.
    """

    class State(models.TextChoices):
        """From its opening to its end."""

        OPEN = "open", _("Open")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        RESOLVED = "resolved", _("Resolved")

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
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    comment = models.TextField(blank=True)

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

    alert = models.ForeignKey(Alert, on_delete=models.DO_NOTHING, related_name="entries")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    # event time; created_at is when it was noticed
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    comment = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["organisation", "alert", "id"], name="finance_alert_log")]
        verbose_name_plural = "alert entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.at.isoformat()}"
