"""What the documents add up to: counts by topic and time, and what watches them."""

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
