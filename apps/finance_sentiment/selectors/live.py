"""Documents as the live page and its events show them: small, and the same in both."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from apps.finance_sentiment.models import Document

_FIELDS = (
    "id",
    "external_id",
    "source",
    "title",
    "url",
    "language",
    "language_detected",
    "published_at",
    "is_undated",
    "status",
    "unscored_reason",
    "sentiment",
    "sentiment_probabilities",
    "topics",
    "models_used",
    "story_id",
    "story__document_count",
)


def document_payloads(document_ids: Iterable[uuid.UUID]) -> list[dict[str, Any]]:
    """These documents in the order in which they were published."""
    rows = Document.objects.filter(id__in=list(document_ids)).order_by("published_at", "id")
    return document_rows(rows)


def document_rows(documents: QuerySet[Document]) -> list[dict[str, Any]]:
    """The payload of each document, in the order of the query."""
    return [_payload(row) for row in documents.values(*_FIELDS)]


def _payload(row: dict[str, Any]) -> dict[str, Any]:
    scored = row["status"] == Document.Status.SCORED
    return {
        "id": str(row["id"]),
        "external_id": row["external_id"],
        "source": row["source"],
        "title": row["title"],
        "url": row["url"],
        "language": row["language_detected"] or row["language"],
        "published_at": row["published_at"].isoformat(),
        "undated": row["is_undated"],
        "status": row["status"],
        "reason": row["unscored_reason"],
        "sentiment": (
            {
                "label": row["sentiment"],
                "probability": row["sentiment_probabilities"][row["sentiment"]],
            }
            if scored
            else None
        ),
        "topics": row["topics"] if scored else [],
        "models": [model["version"] for model in row["models_used"]] if scored else [],
        "story": str(row["story_id"]) if row["story_id"] else None,
        "story_count": row["story__document_count"] or 0,
    }
