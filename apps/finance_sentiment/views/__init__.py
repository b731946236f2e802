"""Pages of the monitor."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views import View

from apps.finance_sentiment.forms import ImportForm
from apps.finance_sentiment.models import Alert, Document, SavedView, Sentiment
from apps.finance_sentiment.selectors.alerts import alert_payload, alerts_open, subject_label
from apps.finance_sentiment.selectors.board import MAX_RANGE, board_figures
from apps.finance_sentiment.selectors.documents import DocumentQuery, documents_find
from apps.finance_sentiment.selectors.live import document_rows
from apps.finance_sentiment.selectors.trends import (
    chart_width,
    topics_known,
    trend_series,
)
from apps.finance_sentiment.services.files import FileOptions, FileRefused, documents_read
from apps.finance_sentiment.services.imports import documents_import
from apps.finance_sentiment.services.requeueing import documents_readable, documents_requeue
from apps.finance_sentiment.topics import topic_label
from apps.finance_sentiment.views.saved_views import saved_views_menu
from rootstock.realtime.selectors import heads
from rootstock.tenancy.pages import RequiresMixin
from rootstock.tenancy.permissions import Permission
from rootstock.web.timerange import TimeRange, time_range

# Rows of the stream that a page keeps; more is what the filters are for.
STREAM_ROWS = 100
_REASONS = dict(Document.Reason.choices)


class LiveView(RequiresMixin, View):
    """What is being said, and is it turning?"""

    permission = Permission.FINANCE_READ

    def get(self, request: HttpRequest) -> HttpResponse:
        """The latest documents, the trend and the open alerts; the island keeps them current."""
        # Read before the rows: what is committed in between comes twice and is shown once.
        last_event_id = heads(["finance.live"])["finance.live"]
        span = time_range(request, default="1h")
        query = _live_query(request)
        found = documents_find(query)
        if not span.preset:
            found = found.filter(published_at__gte=span.start, published_at__lt=span.end)
        topics = topics_known()
        data: dict[str, Any] = {
            "lastEventId": last_event_id,
            "rows": document_rows(found[:STREAM_ROWS]),
            "alerts": [_alert_row(alert) for alert in alerts_open()],
            "topics": {topic: topic_label(topic) for topic in ["", *topics]},
            "reasons": {key: str(label) for key, label in _REASONS.items()},
            "filters": _filters(query),
            "trend": _trend(query.topic or "", span),
            "board": _board(span),
            "mayWrite": Permission.FINANCE_WRITE in request.granted,  # type: ignore[attr-defined]
            "alertUrl": reverse("finance:alert", args=[uuid.UUID(int=0)]),
        }
        context = {
            "data": data,
            "range": span,
            "query": query,
            "topics": [(topic, topic_label(topic)) for topic in topics],
            "sentiments": Sentiment.choices,
            "sources": sorted(
                {row["source"] for row in data["rows"]} | {query.source or ""} - {""}
            ),
            "is_empty": not data["rows"] and not Document.objects.exists(),
            "readable": documents_readable().count(),
            "curl": _curl(request),
            "views": saved_views_menu(request, SavedView.Page.BOARD),  # type: ignore[arg-type]
        }
        return render(request, "finance_sentiment/live.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Score what could not be scored."""
        if Permission.FINANCE_WRITE not in request.granted:  # type: ignore[attr-defined]
            messages.error(request, _("Your role does not include this."))
        else:
            count = documents_requeue()
            messages.success(request, _("%(count)d documents are being scored.") % {"count": count})
        return redirect("finance:live")


class ImportView(RequiresMixin, View):
    """How do I bring my own headlines?"""

    permission = Permission.FINANCE_WRITE

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form."""
        return self._render(request, ImportForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        """Store the good rows of the file and name the bad ones."""
        form = ImportForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._render(request, form)
        upload = form.cleaned_data["file"]
        options = FileOptions(
            encoding=form.cleaned_data["encoding"],
            source=form.cleaned_data["source"],
            zone=timezone.get_current_timezone(),
        )
        rows = documents_read(upload, name=upload.name, options=options, now=timezone.now())
        try:
            report = documents_import(
                organisation_id=request.organisation.pk,  # type: ignore[attr-defined]
                rows=rows,
            )
        except FileRefused as error:
            form.add_error("file", str(error))
            return self._render(request, form)
        return self._render(request, ImportForm(), report=report)

    def _render(self, request: HttpRequest, form: ImportForm, **more: Any) -> HttpResponse:
        context = {"form": form, "curl": _curl(request), **more}
        return render(request, "finance_sentiment/import.html", context)


def _live_query(request: HttpRequest) -> DocumentQuery:
    """The filters in the address; what cannot be a filter is ignored."""

    def given(name: str, length: int) -> str | None:
        value = request.GET.get(name, "").strip()[:length]
        return value or None

    sentiment = given("sentiment", 8)
    return DocumentQuery(
        topic=given("topic", 60),
        sentiment=sentiment if sentiment in Sentiment.values else None,
        source=given("source", 100),
        language=given("language", 8),
        q=given("q", 200),
    )


def _filters(query: DocumentQuery) -> dict[str, str]:
    return {
        "topic": query.topic or "",
        "sentiment": query.sentiment or "",
        "source": query.source or "",
        "language": query.language or "",
        "q": query.q or "",
    }


def _trend(topic: str, span: TimeRange) -> dict[str, Any]:
    width = chart_width(start=span.start, end=span.end)
    points = trend_series(topic=topic, start=span.start, end=span.end, width=width)
    return {
        "topic": topic,
        "width": width,
        "seconds": int((span.end - span.start).total_seconds()),
        "live": bool(span.preset),
        "label": str(span.label),
        "points": [point.as_json() for point in points],
    }


def _board(span: TimeRange) -> dict[str, Any]:
    """Of a longer range, its end."""
    is_long = span.end - span.start > MAX_RANGE
    return board_figures(start=span.end - MAX_RANGE if is_long else span.start, end=span.end)


def _alert_row(alert: Alert) -> dict[str, Any]:
    return {**alert_payload(alert), "topic_label": subject_label(alert.subject)}


def _curl(request: HttpRequest) -> str:
    """A call that stores one headline; the key is the reader's own."""
    address = request.build_absolute_uri("/api/v1/finance/documents")
    document = (
        '{"documents": [{"external_id": "1", "source": "Ledger Wire", '
        '"title": "Northlight Oil raises its outlook after a record quarter", '
        f'"published_at": "{timezone.now():%Y-%m-%dT%H:%M:%SZ}"}}]}}'
    )
    return (
        f"curl -X POST {address} -H 'Authorization: Bearer YOUR_KEY' "
        f"-H 'Content-Type: application/json' -d '{document}'"
    )
