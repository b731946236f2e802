"""REST: documents, signals, alerts and threads as files, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from apps.finance_sentiment.api.alert_serializers import AlertFilter, AlertOutput
from apps.finance_sentiment.api.serializers import DocumentFilter, DocumentOutput
from apps.finance_sentiment.api.thread_serializers import ThreadFilter, ThreadOutput
from apps.finance_sentiment.models import SubjectKind, TimeBucket
from apps.finance_sentiment.selectors.alerts import AlertQuery, alerts_find
from apps.finance_sentiment.selectors.buckets import BucketQuery, buckets_find
from apps.finance_sentiment.selectors.documents import DocumentQuery, documents_find
from apps.finance_sentiment.selectors.signals import STORED_WIDTHS
from apps.finance_sentiment.selectors.threads import ThreadQuery, threads_find
from rootstock.common.api import ApiView, valid
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.streaming import csv_response, json_lines_response

MEDIA_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}
_COUNTS = (
    "documents", "documents_negative", "documents_neutral", "documents_positive",
    "stories", "stories_negative", "stories_neutral", "stories_positive", "unscored",
)  # fmt: skip


class SignalFilter(serializers.Serializer[Any]):
    """Which counts."""

    width = serializers.ChoiceField(
        STORED_WIDTHS, default=3600, help_text="Seconds of each bucket; others are sums of these."
    )
    kind = serializers.ChoiceField(SubjectKind.values, required=False)
    key = serializers.CharField(
        required=False,
        max_length=200,
        allow_blank=True,
        help_text="A topic's label, an entity's or a portfolio's id, a source's name.",
    )
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class SignalOutput(serializers.ModelSerializer[TimeBucket]):
    """What was published on one subject in [start, start + width)."""

    class Meta:
        model = TimeBucket
        fields = ("start", "width", "kind", "key", *_COUNTS)


@dataclass(frozen=True)
class Export:
    """A list that can be taken away: how it is asked for, and what stands in its files.

    A path such as "subject.key" leads into an object; a list becomes one cell, its parts divided by "; ".
    """

    name: str
    filter: type[serializers.Serializer[Any]]
    rows: Callable[[dict[str, Any]], QuerySet[Any]]
    output: type[serializers.BaseSerializer[Any]]
    columns: Sequence[str]


def _alerts(wanted: dict[str, Any]) -> QuerySet[Any]:
    topic = wanted.pop("topic", None)
    if topic is not None:
        wanted |= {"kind": "topic", "key": topic}
    return alerts_find(AlertQuery(**wanted))


EXPORTS = (
    Export(
        "documents",
        DocumentFilter,
        lambda wanted: documents_find(DocumentQuery(**wanted)),
        DocumentOutput,
        ("id", "external_id", "source", "published_at", "received_at", "title", "url", "language", "status",
         "unscored_reason", "sentiment.label", "sentiment.probabilities.negative", "sentiment.probabilities.neutral",
         "sentiment.probabilities.positive", "topics.label", "event", "novelty", "story", "models.version"),
    ),
    Export(
        "signals",
        SignalFilter,
        lambda wanted: buckets_find(BucketQuery(**wanted)),
        SignalOutput,
        ("start", "width", "kind", "key", *_COUNTS),
    ),
    Export(
        "alerts",
        AlertFilter,
        _alerts,
        AlertOutput,
        ("id", "rule.name", "subject.kind", "subject.key", "subject.label", "state", "opened_at", "last_seen_at",
         "resolved_at", "peak_negative", "peak_score", "observed", "expected", "total", "share", "baseline_share",
         "acknowledged_at", "acknowledged_by", "assigned_to", "resolved_by", "muted", "comment", "stories.title",
         "models"),
    ),
    Export(
        "threads",
        ThreadFilter,
        lambda wanted: threads_find(ThreadQuery(**wanted)),
        ThreadOutput,
        ("id", "title", "first_seen_at", "last_seen_at", "story_count", "document_count", "negative_count",
         "positive_count", "source_count", "sources", "languages", "corroboration", "topics"),
    ),
)  # fmt: skip


def _cells(value: Any, columns: Iterable[str]) -> list[object]:
    return [_cell(value, column.split(".")) for column in columns]


def _cell(value: Any, keys: Sequence[str]) -> object:
    for place, key in enumerate(keys):
        if isinstance(value, list):
            return "; ".join(str(_cell(one, keys[place:])) for one in value)
        if value is None:
            return ""
        value = value.get(key)
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return "" if value is None else value


def export_response(export: Export, form: str, wanted: dict[str, Any]) -> StreamingHttpResponse:
    """All rows that fit the checked filter `wanted`, the latest made first, as "csv" or "jsonl"."""
    filename = f"{export.name}-{timezone.localdate():%Y-%m-%d}.{form}"
    rows = export.rows(wanted)
    if form == "jsonl":
        return json_lines_response(
            filename=filename, rows=rows, objects=lambda chunk: export.output(chunk, many=True).data
        )
    return csv_response(
        filename=filename,
        header=export.columns,
        rows=rows,
        cells=lambda row: _cells(export.output(row).data, export.columns),
    )


def _view(export: Export, form: str) -> Any:
    @extend_schema(
        operation_id=f"finance_{export.name}_{form}",
        parameters=[export.filter],
        responses={(200, MEDIA_TYPES[form]): OpenApiResponse(response=str)},
    )
    def get(self: ApiView, request: Request) -> StreamingHttpResponse:
        return export_response(export, form, valid(export.filter(data=request.query_params)))

    get.__doc__ = (
        f"All {export.name} that fit, as a file with {_WORDS[form]}. Those stored last come first."
    )
    members = {"permission": Permission.FINANCE_READ, "get": get, "__doc__": "A file."}
    view: type[ApiView] = type(f"{export.name.title()}{form.title()}View", (ApiView,), members)
    return view.as_view()


_WORDS = {
    "csv": "a header and one row each, in UTF-8 with the mark that spreadsheet programs look for",
    "jsonl": "one JSON object a line, each as the list gives it",
}

urlpatterns: list[URLPattern] = [
    path(f"{export.name}.{form}", _view(export, form)) for export in EXPORTS for form in MEDIA_TYPES
]
