"""Rules: what is watched, by which detector, and what it remembers."""

from __future__ import annotations

from typing import NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.models import TenantModel


class SubjectKind(models.TextChoices):
    """The kinds of things that signals are about."""

    ALL = "all", _("Everything")
    TOPIC = "topic", _("Topic")
    ENTITY = "entity", _("Entity")
    SOURCE_GROUP = "source_group", _("Source")
    PORTFOLIO = "portfolio", _("Portfolio")


class Subject(NamedTuple):
    """What a signal is about: a topic's label, an entity's id, a source's name; "" for everything."""

    kind: str
    key: str


EVERYTHING = Subject(SubjectKind.ALL, "")


def of_topic(topic: str) -> Subject:
    """The subject of a topic's label; the empty one is everything."""
    return Subject(SubjectKind.TOPIC, topic) if topic else EVERYTHING


class Rule(TenantModel):
    """When news of a subject counts as a surge. An organisation has as many as it likes.

    Durations are numbers of buckets. What each figure means is told by `ml_core.detection.SurgeConfig`;
    `parameters` are those of the detector alone.
    """

    class Bucket(models.IntegerChoices):
        """The lengths of a bucket, in seconds."""

        FIVE_SECONDS = 5, _("5 seconds")
        TEN_SECONDS = 10, _("10 seconds")
        ONE_MINUTE = 60, _("1 minute")
        FIVE_MINUTES = 300, _("5 minutes")
        TEN_MINUTES = 600, _("10 minutes")
        FIFTEEN_MINUTES = 900, _("15 minutes")
        ONE_HOUR = 3600, _("1 hour")
        ONE_DAY = 86_400, _("1 day")

    class Measure(models.TextChoices):
        """What is counted."""

        NEGATIVES = "negatives", _("Negative stories: number and share")
        VOLUME = "volume", _("All stories: number")
        SHARE = "share", _("Negative stories: share alone")

    name = models.CharField(max_length=80)
    enabled = models.BooleanField(default=True)
    scope = models.CharField(max_length=16, choices=SubjectKind.choices, default=SubjectKind.TOPIC)
    # "" for each subject of the scope by itself
    key = models.CharField(max_length=200, blank=True)
    measure = models.CharField(max_length=10, choices=Measure.choices, default=Measure.NEGATIVES)
    detector = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict, blank=True)
    bucket_seconds = models.PositiveIntegerField(choices=Bucket.choices, default=Bucket.ONE_MINUTE)
    window = models.PositiveIntegerField()
    minimum_total = models.PositiveIntegerField()
    minimum_negative = models.PositiveIntegerField()
    count_factor = models.FloatField()
    share_gain = models.FloatField()
    # in the detector's own unit
    threshold = models.FloatField()
    share_significance = models.FloatField()
    pending = models.PositiveIntegerField()
    # hysteresis: the part of the threshold below which an alert starts to clear
    clear_ratio = models.FloatField()
    recovery = models.PositiveIntegerField()
    minimum_firing = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="finance_rule_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Monitor(TenantModel):
    """What the detector of one rule remembers of one subject.

    `settled` is the state up to which no late document is expected any more; every evaluation starts
    from it again, so a document that comes a little late still counts. `verdict` is the latest.
    """

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="monitors")
    kind = models.CharField(max_length=16, choices=SubjectKind.choices)
    key = models.CharField(max_length=200, blank=True)
    settled = models.JSONField(null=True)
    verdict = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "rule", "kind", "key"], name="finance_monitor_subject_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.kind}:{self.key}"

    @property
    def subject(self) -> Subject:
        """What it watches."""
        return Subject(self.kind, self.key)
