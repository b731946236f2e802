"""Finding documents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Q, QuerySet

from apps.finance_sentiment.models import Document


@dataclass(frozen=True, slots=True)
class DocumentQuery:
    """What documents are asked for; what is None does not matter."""

    external_id: str | None = None
    source: str | None = None
    topic: str | None = None
    sentiment: str | None = None
    status: str | None = None
    language: str | None = None
    published_after: datetime | None = None
    published_before: datetime | None = None
    q: str | None = None


def documents_find(query: DocumentQuery) -> QuerySet[Document]:
    """The documents that fit, the newest first. `published_before` is excluded from the range."""
    wanted = Q()
    if query.external_id is not None:
        wanted &= Q(external_id=query.external_id)
    if query.source is not None:
        wanted &= Q(source=query.source)
    if query.topic is not None:
        wanted &= Q(topics__contains=[query.topic], status=Document.Status.SCORED)
    if query.sentiment is not None:
        wanted &= Q(sentiment=query.sentiment, status=Document.Status.SCORED)
    if query.status is not None:
        wanted &= Q(status=query.status)
    if query.language is not None:
        wanted &= Q(language_detected=query.language)
    if query.published_after is not None:
        wanted &= Q(published_at__gte=query.published_after)
    if query.published_before is not None:
        wanted &= Q(published_at__lt=query.published_before)
    if query.q:
        wanted &= Q(title__icontains=query.q)
    return Document.objects.filter(wanted).order_by("-published_at", "-id")


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """One source: how much it sends and when it was last heard."""

    source: str
    documents: int
    last_day: int
    unscored: int
    last_published_at: datetime
    last_received_at: datetime


def source_figures(*, now: datetime, within: timedelta = timedelta(days=30)) -> list[SourceFigures]:
    """All sources that sent something within this time, the busiest of the last day first."""
    rows = (
        Document.objects.filter(received_at__gte=now - within)
        .values("source")
        .annotate(
            documents=Count("id"),
            last_day=Count("id", filter=Q(received_at__gte=now - timedelta(days=1))),
            unscored=Count("id", filter=Q(status=Document.Status.UNSCORED)),
            last_published_at=Max("published_at"),
            last_received_at=Max("received_at"),
        )
        .order_by("-last_day", "source")
    )
    return [SourceFigures(**row) for row in rows]
