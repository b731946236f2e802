"""What the documents add up to: counts by topic and time, and the alerts they raise."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.models import Organisation, TenantModel
from rootstock.tenancy.scope import current_organisation_id

# The topic under which everything is counted, whatever its topics.
ALL_TOPICS = ""


class TimeBucket(models.Model):
    """How much was published on one topic in one stretch of event time, and how it sounded.

    The narrowest width is counted from documents and stories, each wider one from the next
    narrower, so a bucket can be counted again at any time and comes out the same. A story counts
    where it was first seen.
    """

    pk = models.CompositePrimaryKey("organisation_id", "width", "start", "topic")
    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
        db_index=False,
    )
    topic = models.CharField(max_length=60, blank=True)
    start = models.DateTimeField()
    # seconds
    width = models.PositiveIntegerField()
    documents = models.PositiveIntegerField(default=0)
    documents_negative = models.PositiveIntegerField(default=0)
    documents_neutral = models.PositiveIntegerField(default=0)
    documents_positive = models.PositiveIntegerField(default=0)
    stories = models.PositiveIntegerField(default=0)
    stories_negative = models.PositiveIntegerField(default=0)
    stories_neutral = models.PositiveIntegerField(default=0)
    stories_positive = models.PositiveIntegerField(default=0)
    # documents that no model could read; only under "all topics"
    unscored = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.topic or '*'} {self.start.isoformat()} {self.width} s"


class SurgeRule(TenantModel):
    """When bad news counts as a surge: one rule for all topics of an organisation.

    Durations are numbers of buckets. What each figure means is told by `ml_core.detection.SurgeConfig`.
    """

    class Bucket(models.IntegerChoices):
        """The lengths of a bucket, in seconds."""

        FIVE_SECONDS = 5, _("5 seconds")
        TEN_SECONDS = 10, _("10 seconds")
        ONE_MINUTE = 60, _("1 minute")
        FIVE_MINUTES = 300, _("5 minutes")
        TEN_MINUTES = 600, _("10 minutes")
        ONE_HOUR = 3600, _("1 hour")

    enabled = models.BooleanField(default=True)
    bucket_seconds = models.PositiveIntegerField(choices=Bucket.choices, default=Bucket.ONE_MINUTE)
    window = models.PositiveIntegerField()
    minimum_total = models.PositiveIntegerField()
    minimum_negative = models.PositiveIntegerField()
    count_factor = models.FloatField()
    share_gain = models.FloatField()
    count_significance = models.FloatField()
    share_significance = models.FloatField()
    pending = models.PositiveIntegerField()
    recovery = models.PositiveIntegerField()
    minimum_firing = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation"], name="finance_rule_once"),
        ]

    def __str__(self) -> str:
        return f"surge rule, {self.bucket_seconds} s"


class MonitorClock(TenantModel):
    """An organisation whose documents are watched, and when to look again without new ones."""

    next_evaluation_at = models.DateTimeField(null=True)
    # event time up to which buckets were judged
    evaluated_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation"], name="finance_clock_once"),
        ]

    def __str__(self) -> str:
        return f"clock of {self.organisation_id}"


class TopicMonitor(TenantModel):
    """What the detector remembers of one topic.

    `settled` is the state up to which no late document is expected any more; every evaluation starts
    from it again, so a document that comes a little late still counts. `verdict` is the latest.
    """

    topic = models.CharField(max_length=60, blank=True)
    settled = models.JSONField(null=True)
    verdict = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "topic"], name="finance_monitor_once"),
        ]

    def __str__(self) -> str:
        return self.topic or "*"


class Alert(TenantModel):
    """A surge of negative stories on a topic, with the numbers and stories that show it.

    Times are event times, so an alert of a replay lies where its documents lie.
    """

    class State(models.TextChoices):
        """From its opening to its end."""

        OPEN = "open", _("Open")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        RESOLVED = "resolved", _("Resolved")

    topic = models.CharField(max_length=60, blank=True)
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
                fields=["organisation", "topic"],
                condition=~models.Q(state="resolved"),
                name="finance_alert_open_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organisation", "topic", "-opened_at"], name="finance_alert_topic"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic or '*'} {self.opened_at.isoformat()}"


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
