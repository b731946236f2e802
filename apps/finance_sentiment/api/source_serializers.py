"""What the API takes and gives about sources."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.finance_sentiment.api.serializers import LANGUAGE
from apps.finance_sentiment.models import (
    Fault,
    Note,
    RefusedItem,
    Source,
    SourceKind,
    SourcePolling,
)
from apps.finance_sentiment.selectors.sources import polling_of
from apps.finance_sentiment.services.intake import MAX_LENGTH
from apps.finance_sentiment.services.sources.managing import LONGEST_INTERVAL, SHORTEST_INTERVAL
from apps.finance_sentiment.services.sources.pages import LONGEST_SELECTOR


class NewsSourceChange(serializers.Serializer[Any]):
    """What can be changed of a source."""

    url = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    source_group = serializers.CharField(max_length=60, required=False, allow_blank=True)
    credibility = serializers.FloatField(
        min_value=0, max_value=1, required=False, help_text="How far it is believed, 0 to 1."
    )
    language = serializers.RegexField(
        LANGUAGE,
        max_length=35,
        required=False,
        allow_blank=True,
        help_text="Of items that name none.",
    )
    enabled = serializers.BooleanField(required=False)
    interval_seconds = serializers.IntegerField(
        min_value=SHORTEST_INTERVAL, max_value=LONGEST_INTERVAL, required=False
    )
    selectors = serializers.DictField(
        child=serializers.CharField(max_length=LONGEST_SELECTOR, allow_blank=True),
        required=False,
        help_text="CSS selectors of a page: `item`, and below it `title`, `link`, `time`, `body`, `author`.",
    )
    fetch_articles = serializers.BooleanField(
        required=False, help_text="Read the linked article and take its text as body."
    )


class NewsSourceInput(NewsSourceChange):
    """A new source."""

    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(SourceKind.values)


class PollOutput(serializers.Serializer[Any]):
    """One poll."""

    at = serializers.DateTimeField()
    outcome = serializers.CharField(help_text="`read`, `unchanged` or a fault.")
    items = serializers.IntegerField()
    new = serializers.IntegerField()
    ms = serializers.IntegerField()


class HealthOutput(serializers.ModelSerializer[SourcePolling]):
    """How polling of a source stands."""

    fault = serializers.ChoiceField([("", ""), *Fault.choices])
    notes = serializers.ListField(child=serializers.ChoiceField(Note.choices))
    recent = PollOutput(many=True)

    class Meta:
        model = SourcePolling
        fields = [
            "fault", "fault_detail", "fault_since", "failures", "notes", "status", "milliseconds", "polled_at",
            "succeeded_at", "new_at", "next_at", "recent",
        ]  # fmt: skip


class NewsSourceOutput(serializers.ModelSerializer[Source]):
    """A source. `health` is null for one that is not polled."""

    selectors = serializers.DictField(child=serializers.CharField())
    health = serializers.SerializerMethodField()
    hook_path = serializers.SerializerMethodField()

    class Meta:
        model = Source
        fields = [
            "id", "name", "kind", "url", "moved_from", "source_group", "credibility", "language", "enabled",
            "interval_seconds", "selectors", "fetch_articles", "hook_path", "health", "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field(HealthOutput(allow_null=True))
    def get_health(self, row: Source) -> dict[str, Any] | None:
        """The state of its polling."""
        polling = polling_of(row)
        return dict(HealthOutput(polling).data) if polling is not None else None

    def get_hook_path(self, row: Source) -> str:
        """Where messages for an inbound webhook go; empty for other sources."""
        return f"/api/v1/finance/hooks/{row.hook_key}" if row.hook_key else ""


class NewsSourceWithSecretOutput(NewsSourceOutput):
    """A source at the only moment when the secret of its webhook is shown."""

    secret = serializers.CharField(help_text="`whsec_…`, empty for other sources. Keep it now.")

    class Meta(NewsSourceOutput.Meta):
        fields = [*NewsSourceOutput.Meta.fields, "secret"]


class NewsSourceFilter(serializers.Serializer[Any]):
    """Which sources."""

    kind = serializers.ChoiceField(SourceKind.values, required=False)
    group = serializers.CharField(max_length=60, required=False)
    q = serializers.CharField(max_length=200, required=False, help_text="Part of name or address.")


class OpmlInput(serializers.Serializer[Any]):
    """A list of feeds."""

    opml = serializers.CharField(max_length=5 * 2**20, help_text="The text of an OPML file.")


class OpmlRefusalOutput(serializers.Serializer[Any]):
    """A feed that was not set up."""

    name = serializers.CharField()
    reason = serializers.CharField()


class OpmlOutput(serializers.Serializer[Any]):
    """What became of the feeds of a list."""

    created = serializers.IntegerField()
    known = serializers.IntegerField()
    refused = OpmlRefusalOutput(many=True)


class RefusedReasonOutput(serializers.Serializer[Any]):
    """What is wrong with one field; empty: with the whole."""

    field = serializers.CharField(allow_blank=True)
    detail = serializers.CharField()


class RefusedItemOutput(serializers.ModelSerializer[RefusedItem]):
    """An item that could not be taken in."""

    reasons = RefusedReasonOutput(many=True)
    payload = serializers.DictField(help_text="As it came.")
    source_name = serializers.CharField(source="source.name")

    class Meta:
        model = RefusedItem
        fields = [
            "id", "source", "source_name", "key", "title", "payload", "reasons", "state", "times", "last_at",
            "created_at", "updated_at",
        ]  # fmt: skip


class RefusedFilter(serializers.Serializer[Any]):
    """Which dead letters."""

    source = serializers.UUIDField(required=False)  # type: ignore[assignment]
    state = serializers.ChoiceField(RefusedItem.State.values, required=False)


class RefusedChanges(serializers.Serializer[Any]):
    """Corrected fields."""

    title = serializers.CharField(max_length=MAX_LENGTH["title"], required=False)
    body = serializers.CharField(max_length=MAX_LENGTH["body"], required=False, allow_blank=True)
    url = serializers.CharField(max_length=MAX_LENGTH["url"], required=False, allow_blank=True)
    language = serializers.CharField(
        max_length=MAX_LENGTH["language"], required=False, allow_blank=True
    )
    published_at = serializers.CharField(max_length=60, required=False)


class RetryAllOutput(serializers.Serializer[Any]):
    """What became of all of them."""

    taken = serializers.IntegerField()
    refused = serializers.IntegerField()


class HookDocument(serializers.Serializer[Any]):
    """A document of a message. Without a time it counts as published when it came."""

    external_id = serializers.CharField(required=False)
    title = serializers.CharField(required=False)
    body = serializers.CharField(required=False)
    url = serializers.CharField(required=False)
    language = serializers.CharField(required=False)
    published_at = serializers.CharField(required=False)


class HookMessage(serializers.Serializer[Any]):
    """A message for an inbound webhook; a list of documents or one document alone will do as well."""

    documents = HookDocument(many=True)


class HookAnswer(serializers.Serializer[Any]):
    """What became of a message. `refused` documents are kept as dead letters."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    refused = serializers.IntegerField()
    replayed = serializers.BooleanField(help_text="This message was taken before.")
