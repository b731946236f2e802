"""What the API takes and gives. Documents are checked by `services.intake`, these say so in the schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.finance_sentiment.api.entity_serializers import MentionOutput
from apps.finance_sentiment.models import (
    Document,
    Sentiment,
    SubjectKind,
)
from apps.finance_sentiment.selectors.entities import document_mentions
from apps.finance_sentiment.services.intake import MAX_BATCH, MAX_LENGTH

LANGUAGE = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$"


class DocumentInput(serializers.Serializer[Any]):
    """A document to store."""

    external_id = serializers.CharField(max_length=MAX_LENGTH["external_id"])
    source = serializers.CharField(max_length=MAX_LENGTH["source"])  # type: ignore[assignment]
    title = serializers.CharField(max_length=MAX_LENGTH["title"])
    body = serializers.CharField(max_length=MAX_LENGTH["body"], required=False, allow_blank=True)
    url = serializers.URLField(max_length=MAX_LENGTH["url"], required=False)
    language = serializers.RegexField(
        LANGUAGE,
        max_length=MAX_LENGTH["language"],
        required=False,
        help_text="A language tag; a hint, the text decides.",
    )
    published_at = serializers.DateTimeField(
        help_text="With a time zone; not before 1970 and not more than a day ahead."
    )


class DocumentBatchInput(serializers.Serializer[Any]):
    """Up to 1,000 documents."""

    documents = serializers.ListField(child=DocumentInput(), min_length=1, max_length=MAX_BATCH)


class StoredDocumentOutput(serializers.Serializer[Any]):
    """A document as it is stored now."""

    id = serializers.UUIDField()
    source = serializers.CharField()  # type: ignore[assignment]
    external_id = serializers.CharField()
    status = serializers.ChoiceField(Document.Status.values)


class DocumentBatchOutput(serializers.Serializer[Any]):
    """What became of a batch. New and changed documents are pending; scoring follows."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    documents = StoredDocumentOutput(many=True)


class DocumentFilter(serializers.Serializer[Any]):
    """Which documents."""

    external_id = serializers.CharField(required=False, max_length=MAX_LENGTH["external_id"])
    source = serializers.CharField(required=False, max_length=MAX_LENGTH["source"])  # type: ignore[assignment]
    topic = serializers.CharField(required=False, max_length=60)
    sentiment = serializers.ChoiceField(Sentiment.values, required=False)
    status = serializers.ChoiceField(Document.Status.values, required=False)
    language = serializers.CharField(required=False, max_length=8)
    published_after = serializers.DateTimeField(required=False)
    published_before = serializers.DateTimeField(required=False)
    q = serializers.CharField(required=False, max_length=200, help_text="Part of the title.")


class SentimentOutput(serializers.Serializer[Any]):
    """The most probable sentiment and the probability of each."""

    label = serializers.ChoiceField(Sentiment.values)  # type: ignore[assignment]
    probabilities = serializers.DictField(child=serializers.FloatField())


class TopicOutput(serializers.Serializer[Any]):
    """A topic and how sure the model is of it."""

    label = serializers.CharField()  # type: ignore[assignment]
    probability = serializers.FloatField(
        allow_null=True, help_text="null: its words gave it, not the model"
    )


class ModelUsedOutput(serializers.Serializer[Any]):
    """A model version that decided."""

    deployment = serializers.CharField()
    version_id = serializers.UUIDField()
    version = serializers.CharField()


class DocumentOutput(serializers.ModelSerializer[Document]):
    """A document and what the models made of it."""

    language = serializers.SerializerMethodField(
        help_text="As detected; before that as declared, else null."
    )
    sentiment = serializers.SerializerMethodField()
    topics = serializers.SerializerMethodField()
    story = serializers.UUIDField(source="story_id", allow_null=True)
    models = serializers.SerializerMethodField()

    class Meta:
        model = Document
        fields = [
            "id", "external_id", "source", "title", "url", "language", "published_at", "is_undated", "declared_at",
            "received_at",
            "status", "unscored_reason", "sentiment", "topics", "event", "novelty", "story", "models",
        ]  # fmt: skip

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_language(self, row: Document) -> str | None:
        """Detected, declared or unknown."""
        return row.language_detected or row.language or None

    @extend_schema_field(SentimentOutput(allow_null=True))
    def get_sentiment(self, row: Document) -> dict[str, Any] | None:
        """None unless it is scored."""
        if row.status != Document.Status.SCORED:
            return None
        return {"label": row.sentiment, "probabilities": row.sentiment_probabilities}

    @extend_schema_field(TopicOutput(many=True))
    def get_topics(self, row: Document) -> list[dict[str, Any]]:
        """The most probable first; empty unless it is scored."""
        if row.status != Document.Status.SCORED:
            return []
        probabilities = row.topic_probabilities or {}
        return [{"label": topic, "probability": probabilities.get(topic)} for topic in row.topics]

    @extend_schema_field(ModelUsedOutput(many=True))
    def get_models(self, row: Document) -> list[dict[str, str]]:
        """Empty unless it is scored."""
        return row.models_used if row.status == Document.Status.SCORED else []


class DocumentDetailOutput(DocumentOutput):
    """The same with its text and whom it speaks of."""

    mentions = serializers.SerializerMethodField()

    class Meta(DocumentOutput.Meta):
        fields = [*DocumentOutput.Meta.fields, "body", "revision", "mentions"]

    @extend_schema_field(MentionOutput(many=True))
    def get_mentions(self, row: Document) -> Any:
        """From left to right; not what a person dismissed."""
        return MentionOutput(document_mentions(row), many=True).data


class DocumentPageOutput(serializers.Serializer[Any]):
    """A page of documents."""

    results = DocumentOutput(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class RequeueOutput(serializers.Serializer[Any]):
    """How many documents are pending again."""

    requeued = serializers.IntegerField()


class TrendFilter(serializers.Serializer[Any]):
    """Which series."""

    topic = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=60, help_text="Empty: all topics."
    )
    since = serializers.DateTimeField(required=False, help_text="Default: a day before `until`.")
    until = serializers.DateTimeField(required=False, help_text="Default: now.")
    width = serializers.IntegerField(
        required=False,
        min_value=5,
        max_value=86_400,
        help_text="Seconds, a multiple of 5; left out, what suits the range.",
    )


class SeriesFilter(TrendFilter):
    """Which series: of a topic, or of any other subject by its kind and key."""

    kind = serializers.ChoiceField(SubjectKind.values, required=False)
    key = serializers.CharField(
        required=False,
        max_length=200,
        help_text="An entity's or a portfolio's id, a source's name, a topic's label.",
    )


class TrendPointOutput(serializers.Serializer[Any]):
    """What was published in [start, start + width), or on `day`."""

    start = serializers.DateTimeField()
    day = serializers.DateField(
        allow_null=True,
        help_text="The day that a bucket of 86,400 s is, by the organisation's time zone or trading calendar.",
    )
    documents = serializers.IntegerField()
    negative = serializers.IntegerField()
    neutral = serializers.IntegerField()
    positive = serializers.IntegerField()
    unscored = serializers.IntegerField(help_text="Only under all topics.")
    stories = serializers.IntegerField()
    stories_negative = serializers.IntegerField()


class TrendOutput(serializers.Serializer[Any]):
    """A series; empty buckets are included."""

    topic = serializers.CharField(allow_blank=True)
    kind = serializers.ChoiceField(SubjectKind.values)
    key = serializers.CharField(allow_blank=True)
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    width = serializers.IntegerField()
    points = TrendPointOutput(many=True)


class TopicFiguresOutput(serializers.Serializer[Any]):
    """A topic in a range of time, and in the range before."""

    topic = serializers.CharField()
    stories = serializers.IntegerField()
    negative = serializers.IntegerField()
    share = serializers.FloatField()
    previous_stories = serializers.IntegerField()
    previous_negative = serializers.IntegerField()
    previous_share = serializers.FloatField()


class TopicListOutput(serializers.Serializer[Any]):
    """All topics with news in the range or in the one before, the busiest first."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    results = TopicFiguresOutput(many=True)
