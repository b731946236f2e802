"""What was published: documents, and the stories that several documents tell."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models.sources import Source
from rootstock.tenancy.models import Organisation, TenantModel
from rootstock.tenancy.scope import current_organisation_id


class Sentiment(models.TextChoices):
    """What a text means for those who hold what it is about."""

    NEGATIVE = "negative", _("Negative")
    NEUTRAL = "neutral", _("Neutral")
    POSITIVE = "positive", _("Positive")


class Story(TenantModel):
    """One piece of news, told by one or more documents in the same or nearly the same words.

    All figures are recomputed from its documents. Sentiment and topics are those of the document
    that was published first.
    """

    title = models.TextField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    document_count = models.PositiveIntegerField(default=0)
    sources = ArrayField(models.CharField(max_length=100), default=list)
    sentiment = models.CharField(max_length=8, choices=Sentiment.choices, blank=True)
    topics = ArrayField(models.CharField(max_length=60), default=list)
    # 64 little-endian uint32: the MinHash of the title it began with, compared with each newcomer
    signature = models.BinaryField(max_length=256)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "first_seen_at"], name="finance_story_time"),
        ]

    def __str__(self) -> str:
        return self.title


class StoryBand(models.Model):
    """One of the sixteen LSH bands of a story's signature: stories that share one are candidates.

    The primary key is the index that finds them; there is nothing else in the row to keep it small.
    """

    pk = models.CompositePrimaryKey("organisation_id", "band", "story_id")
    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
        db_index=False,
    )
    band = models.BigIntegerField()
    # No constraint: a band whose story is gone finds nothing, and 16 checks a story cost more.
    story = models.ForeignKey(
        Story,
        on_delete=models.DO_NOTHING,
        related_name="bands",
        db_index=False,
        db_constraint=False,
    )

    def __str__(self) -> str:
        return f"{self.band}"


class Document(TenantModel):
    """A headline, post or article as a source published it, and what the models made of it.

    A document is known by its source and its external id. Posting the same again changes nothing;
    posting it with another text or time makes a new revision, which is scored again.
    """

    class Status(models.TextChoices):
        """Where a document is on its way."""

        PENDING = "pending", _("Waiting")
        SCORED = "scored", _("Scored")
        UNSCORED = "unscored", _("Not scored")
        FAILED = "failed", _("Failed")

    class Reason(models.TextChoices):
        """Why a document has no sentiment."""

        NO_MODEL = "no-model", _("No sentiment model is deployed")
        LANGUAGE = "language", _("The deployed model does not read this language")
        NO_TEXT = "no-text", _("There are no words to read")
        GAVE_UP = "gave-up", _("Scoring this text failed again and again")

    external_id = models.CharField(max_length=200)
    source = models.CharField(max_length=100)
    # the row of that name; its credibility and group are read there
    source_ref = models.ForeignKey(
        Source, null=True, on_delete=models.SET_NULL, related_name="documents", db_index=False
    )
    source_ref_id: uuid.UUID | None
    title = models.TextField()
    body = models.TextField(blank=True)
    url = models.TextField(blank=True)
    # as declared by the source: a hint
    language = models.CharField(max_length=35, blank=True)
    language_detected = models.CharField(max_length=8, blank=True)
    published_at = models.DateTimeField()
    # the source told no usable time: `published_at` is when it was first seen
    is_undated = models.BooleanField(default=False)
    # the time that the source told where it cannot be, in the future or before 1970
    declared_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    revision = models.PositiveIntegerField(default=1)

    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    unscored_reason = models.CharField(max_length=10, choices=Reason.choices, blank=True)
    sentiment = models.CharField(max_length=8, choices=Sentiment.choices, blank=True)
    sentiment_probabilities = models.JSONField(null=True)
    topics = ArrayField(models.CharField(max_length=60), default=list)
    topic_probabilities = models.JSONField(null=True)
    # what happened, such as "profit-warning"; empty when nothing of the known kinds did
    event = models.CharField(max_length=40, blank=True, default="", db_default="")
    # 1 for news, less for what was said of the same subject in the day before
    novelty = models.FloatField(null=True)
    # [{"deployment", "version_id", "version"}]: which model versions decided
    models_used = models.JSONField(default=list)
    scored_at = models.DateTimeField(null=True)

    story = models.ForeignKey(Story, null=True, on_delete=models.SET_NULL, related_name="documents")
    story_id: uuid.UUID | None
    # 32 bytes: equal for texts that say the same letter for letter
    content_hash = models.BinaryField(max_length=32, null=True)
    # 64 little-endian uint32 of the title
    signature = models.BinaryField(max_length=256, null=True)
    # the time under which the buckets count this document at the moment
    counted_at = models.DateTimeField(null=True)
    # a worker has it until then
    claimed_until = models.DateTimeField(null=True)
    # how often a worker began to score this revision
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "source", "external_id"], name="finance_document_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["organisation", "-published_at", "-id"], name="finance_document_time"
            ),
            models.Index(
                fields=["organisation", "id"],
                name="finance_document_pending",
                condition=models.Q(status="pending"),
            ),
            models.Index(
                fields=["organisation", "unscored_reason", "id"],
                name="finance_document_unscored",
                condition=models.Q(status="unscored"),
            ),
            models.Index(fields=["organisation", "content_hash"], name="finance_document_hash"),
            models.Index(fields=["organisation", "external_id"], name="finance_document_external"),
            models.Index(fields=["source_ref", "-received_at"], name="finance_document_source"),
            GinIndex(fields=["topics"], name="finance_document_topics", fastupdate=True),
        ]

    def __str__(self) -> str:
        return self.title
