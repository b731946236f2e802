"""What deployments live through: traffic, labels that arrive later, drift, alarms."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models.versions import Deployment, ModelVersion
from rootstock.tenancy.models import TenantModel


class Role(models.TextChoices):
    """In which part a version was asked."""

    LIVE = "live", _("Deployed")
    CANARY = "canary", _("Canary")
    SHADOW = "shadow", _("Shadow")


class TrafficBucket(TenantModel):
    """What a version answered in one stretch of time, as counts that can be added.

    Whoever logs predictions inserts a row of their own, so writers never wait for each other; the rows of a stretch
    that is over are added up to one. A stretch may therefore have several rows: add them.
    """

    deployment_id = models.UUIDField()
    version_id = models.UUIDField()
    role = models.CharField(max_length=6, choices=Role.choices, default=Role.LIVE)
    start = models.DateTimeField()
    # Seconds.
    width = models.PositiveIntegerField()
    answered = models.PositiveIntegerField(default=0)
    # Texts that got no answer because the model or the inference process failed.
    failed = models.PositiveIntegerField(default=0)
    confidence_sum = models.FloatField(default=0.0)
    # Of a shadow: texts whose answer was compared with the one given, and those where it was the same.
    compared = models.PositiveIntegerField(default=0)
    agreed = models.PositiveIntegerField(default=0)
    # {"label": {…}, "language": {…}, "confidence": {…}, "length": {…}, "latency": {…}}: how many by class, see
    # `rootstock.modelhub.monitoring.tallies`.
    counts = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "deployment_id", "start", "width"], name="traffic_stretch"
            ),
            models.Index(fields=["organisation", "width", "start"], name="traffic_age"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.start.isoformat()}"


class Outcome(TenantModel):
    """The label that turned out to be right for something that a version had answered."""

    deployment_id = models.UUIDField()
    version_id = models.UUIDField()
    shadow = models.BooleanField(default=False)
    subject_type = models.CharField(max_length=40)
    subject_id = models.UUIDField()
    answered = models.CharField(max_length=120)
    actual = models.CharField(max_length=120)
    # When the version answered; `updated_at` is when the label came.
    answered_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "organisation",
                    "deployment_id",
                    "version_id",
                    "subject_type",
                    "subject_id",
                ],
                name="outcome_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organisation", "deployment_id", "answered_at"], name="outcome_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.answered} → {self.actual}"


class DriftBaseline(TenantModel):
    """What the texts of a version are compared with."""

    class Source(models.TextChoices):
        """Which texts they were."""

        LIVE = "live", _("the first texts it was asked about")
        SNAPSHOT = "snapshot", _("the snapshot it was trained on")

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="baselines")
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    version_id: uuid.UUID
    source = models.CharField(max_length=10, choices=Source.choices)
    rows = models.PositiveIntegerField()
    # The model whose vectors are compared.
    encoder = models.CharField(max_length=200)
    # ml_core.detection.DriftReference.to_bytes
    reference = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "deployment", "version"], name="drift_baseline_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.source}"


class DriftRow(TenantModel):
    """A text of the window that is being filled. Gone once the window is judged."""

    updated_at = None  # type: ignore[assignment]  # nothing is ever updated

    deployment_id = models.UUIDField()
    version_id = models.UUIDField()
    text = models.TextField()
    # Of the whole text, which may have been cut.
    length = models.PositiveIntegerField()
    language = models.CharField(max_length=10)
    label = models.CharField(max_length=120)
    confidence = models.FloatField()

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "deployment_id", "version_id", "id"],
                name="drift_row_window",
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class DriftWindow(TenantModel):
    """The verdict on a window of live texts. Never changed."""

    updated_at = None  # type: ignore[assignment]  # nothing is ever updated

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="windows")
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    version_id: uuid.UUID
    rows = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    drifted = models.BooleanField()
    # ml_core.detection.SignalVerdict of each signal: {"signal", "p_value", "effect", "drifted", "moved"}
    signals = models.JSONField(default=list)
    # The texts that moved farthest: [{"text", "label", "confidence", "language"}]
    examples = models.JSONField(default=list)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "deployment", "-id"], name="drift_window_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.ended_at.isoformat()}"


class MonitorPolicy(TenantModel):
    """What a deployment is watched for: its alarm rules and the guardrails of its canaries."""

    # A name, not a row: it can be set before anything is deployed.
    deployment = models.CharField(max_length=120)
    # {"errors": {"enabled": true, "limits": {"share": 5.0}}, …}; what is left out has its default.
    rules = models.JSONField(default=dict)
    drift_source = models.CharField(
        max_length=10, choices=DriftBaseline.Source.choices, default=DriftBaseline.Source.LIVE
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "deployment"], name="monitor_policy_once"
            ),
        ]

    def __str__(self) -> str:
        return self.deployment


class Alarm(TenantModel):
    """A rule of a deployment that did not hold, from when it was noticed until it held again."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="alarms")
    # The version that served when it opened.
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    version_id: uuid.UUID
    rule = models.CharField(max_length=20)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    # {"value", "limit", "count", …}: the figures of the opening, and the worst and the newest since.
    opening = models.JSONField(default=dict)
    worst = models.JSONField(default=dict)
    latest = models.JSONField(default=dict)
    # When a person said that they have seen it, and who.
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "deployment", "rule"],
                condition=models.Q(closed_at__isnull=True),
                name="alarm_open_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "-opened_at"], name="alarm_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.opened_at.isoformat()}"

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.closed_at is None
