"""What the API takes and gives about threads and versions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.finance_sentiment.models import (
    Document,
    DocumentVersion,
    Sentiment,
    Thread,
    ThreadStory,
)
from apps.finance_sentiment.selectors.threads import thread_places


class ThreadFilter(serializers.Serializer[Any]):
    """Which threads."""

    since = serializers.DateTimeField(required=False, help_text="Told at this time or after.")
    until = serializers.DateTimeField(required=False, help_text="First told before this time.")
    source = serializers.CharField(required=False, max_length=100)  # type: ignore[assignment]
    topic = serializers.CharField(required=False, max_length=60)
    language = serializers.CharField(required=False, max_length=8)
    least_sources = serializers.IntegerField(required=False, min_value=1, max_value=10_000)
    q = serializers.CharField(required=False, max_length=200, help_text="Part of a title.")


class ThreadOutput(serializers.ModelSerializer[Thread]):
    """One event as all sources tell of it."""

    class Meta:
        model = Thread
        fields = (
            "id",
            "title",
            "first_seen_at",
            "last_seen_at",
            "story_count",
            "document_count",
            "negative_count",
            "positive_count",
            "source_count",
            "sources",
            "languages",
            "corroboration",
            "topics",
        )


class ThreadPageOutput(serializers.Serializer[Any]):
    """A page of threads."""

    results = ThreadOutput(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class ThreadDocumentOutput(serializers.ModelSerializer[Document]):
    """A document of a thread."""

    class Meta:
        model = Document
        fields = (
            "id",
            "source",
            "title",
            "url",
            "language_detected",
            "published_at",
            "sentiment",
            "revision",
        )


class ThreadStoryOutput(serializers.ModelSerializer[ThreadStory]):
    """A story of a thread: what says the same in nearly the same words."""

    id = serializers.UUIDField(source="story_id")
    title = serializers.CharField(source="story.title")
    sentiment = serializers.ChoiceField(
        Sentiment.values, source="story.sentiment", allow_blank=True
    )
    documents = ThreadDocumentOutput(source="story.documents", many=True)

    class Meta:
        model = ThreadStory
        fields = (
            "id",
            "title",
            "first_seen_at",
            "sentiment",
            "probability",
            "placed_by",
            "documents",
        )


class ThreadDetailOutput(ThreadOutput):
    """A thread with its stories and their documents, in order of time."""

    stories = serializers.SerializerMethodField()

    class Meta(ThreadOutput.Meta):
        fields = (*ThreadOutput.Meta.fields, "stories")  # type: ignore[assignment]

    @extend_schema_field(ThreadStoryOutput(many=True))
    def get_stories(self, thread: Thread) -> Any:
        """Read when the thread is."""
        return ThreadStoryOutput(thread_places(thread), many=True).data


class ThreadMergeInput(serializers.Serializer[Any]):
    """The thread that is taken in, and gone afterwards."""

    thread = serializers.UUIDField()


class ThreadSplitInput(serializers.Serializer[Any]):
    """The story that gets a thread of its own."""

    story = serializers.UUIDField()


class DocumentVersionOutput(serializers.ModelSerializer[DocumentVersion]):
    """What a document said before an edit."""

    class Meta:
        model = DocumentVersion
        fields = ("revision", "title", "body", "url", "language", "published_at", "received_at")


class DocumentVersionListOutput(serializers.Serializer[Any]):
    """Earlier versions, the latest first."""

    results = DocumentVersionOutput(many=True)
