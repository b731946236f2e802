"""Finding documents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

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
