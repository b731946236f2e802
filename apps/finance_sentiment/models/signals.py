"""What the documents add up to: counts by topic and time, and what watches them."""

from __future__ import annotations

from django.db import models

from apps.finance_sentiment.models.rules import SubjectKind
from rootstock.tenancy.models import Organisation, TenantModel
from rootstock.tenancy.scope import current_organisation_id

# What pages and the API call everything, whatever its topics.
ALL_TOPICS = ""


class TimeBucket(models.Model):
    """How much was published on one subject in one stretch of event time, and how it sounded.

    The narrowest width is counted from documents and stories, each wider one from the next
    narrower, so a bucket can be counted again at any time and comes out the same. A story counts
    where it was first seen.
    """

    pk = models.CompositePrimaryKey("organisation_id", "width", "start", "kind", "key")
    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
        db_index=False,
    )
    kind = models.CharField(max_length=16, choices=SubjectKind.choices)
    key = models.CharField(max_length=200, blank=True)
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
    # documents that no model could read
    unscored = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [
            # One subject over a long time; the primary key is for all subjects of a moment.
            models.Index(
                fields=["organisation", "width", "kind", "key", "start"],
                name="finance_bucket_subject",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.key} {self.start.isoformat()} {self.width} s"


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
