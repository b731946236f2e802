"""What the API takes and gives about searches."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.finance_sentiment.api.serializers import DocumentOutput
from apps.finance_sentiment.models import Sentiment
from apps.finance_sentiment.selectors.search import FACETS


class SearchFilter(serializers.Serializer[Any]):
    """What is looked for; all of it has to fit."""

    q = serializers.CharField(
        required=False, max_length=200, help_text="Words in English or Chinese, or a question."
    )
    order = serializers.ChoiceField(
        choices=["best", "newest"],
        required=False,
        help_text="By words and meaning together, or all that have every word by time. "
        "Default: best where `q` is given.",
    )
    topic = serializers.CharField(required=False, max_length=60)
    sentiment = serializers.ChoiceField(choices=Sentiment.choices, required=False)
    source = serializers.CharField(required=False, max_length=100)  # type: ignore[assignment]
    language = serializers.CharField(required=False, max_length=8)
    event = serializers.CharField(required=False, max_length=40)
    entity = serializers.UUIDField(required=False)
    portfolio = serializers.UUIDField(
        required=False, help_text="Documents that name any entity of it."
    )
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False, help_text="Excluded.")
    cursor = serializers.CharField(
        required=False, max_length=300, help_text="`next` of the page before."
    )
    page_size = serializers.IntegerField(required=False, min_value=1, max_value=200, default=50)


class FoundDocumentOutput(DocumentOutput):
    """A document and why it was found."""

    score = serializers.SerializerMethodField(
        help_text="From 0 to 1; orders the best answers, 0 where the order is by time."
    )
    words = serializers.SerializerMethodField(
        help_text="Words of the query that it has, as the index knows them."
    )
    cosine = serializers.SerializerMethodField(
        help_text="How near its story is in meaning; null where that was not compared."
    )

    class Meta(DocumentOutput.Meta):
        fields = [*DocumentOutput.Meta.fields, "score", "words", "cosine"]

    @extend_schema_field(serializers.FloatField())
    def get_score(self, row: Any) -> float:
        """What it is ordered by."""
        return float(self._hit(row).score)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_words(self, row: Any) -> list[str]:
        """In the order of the query."""
        return list(self._hit(row).words)

    @extend_schema_field(serializers.FloatField(allow_null=True))
    def get_cosine(self, row: Any) -> float | None:
        """Null without a vector."""
        cosine = self._hit(row).cosine
        return None if cosine is None else round(float(cosine), 4)

    def _hit(self, row: Any) -> Any:
        return self.context["hits"][row.pk]


class FacetValueOutput(serializers.Serializer[Any]):
    """A value and how many of the counted documents have it."""

    value = serializers.CharField()
    count = serializers.IntegerField()


class FacetsOutput(serializers.Serializer[Any]):
    """Counts over the newest documents that have every word and facet."""

    counted = serializers.IntegerField(help_text="How many were counted, at most 500.")
    is_all = serializers.BooleanField(help_text="Whether there are no more that fit.")
    values = serializers.DictField(
        child=FacetValueOutput(many=True), help_text=f"By {', '.join(FACETS)}."
    )


class SearchOutput(serializers.Serializer[Any]):
    """A page of what was found."""

    results = FoundDocumentOutput(many=True)
    next = serializers.CharField(allow_null=True, help_text="Cursor of the next page.")
    facets = FacetsOutput(allow_null=True, help_text="On the first page.")
    words_only = serializers.ChoiceField(
        choices=["order", "no-words", "unavailable"],
        allow_null=True,
        help_text="Why meaning was not compared; null: it was.",
    )
