"""Documents as rows of data sets: read, scored ones that wait for a person's label.

The monitor keeps no corrections of its own: a label that a person gives lives in the data set, with its history. What
the model said comes along as metadata, and how unsure it was orders the annotation queue.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.inference import SUBJECT
from apps.finance_sentiment.models import Document
from rootstock.modelhub.sources import RowSource, SourceRow
from rootstock.tenancy.permissions import Permission

_CHUNK = 1000


def document_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """Scored documents in the order in which they were scored."""
    documents = Document.objects.filter(status=Document.Status.SCORED, scored_at__lt=_settled())
    if cursor:
        at, _space, last = cursor.partition(" ")
        since = datetime.fromisoformat(at)
        documents = documents.filter(
            Q(scored_at__gt=since) | Q(scored_at=since, pk__gt=uuid.UUID(last))
        )
    for document in documents.order_by("scored_at", "id").iterator(chunk_size=_CHUNK):
        text = document.title
        if task == "masked-language-model" and document.body:
            text = f"{document.title}\n{document.body}"
        yield SourceRow(
            content={"text": text},
            cursor=f"{document.scored_at.isoformat()} {document.pk}" if document.scored_at else "",
            metadata={
                "outlet": document.source,
                "language": document.language_detected,
                "published": document.published_at.date().isoformat(),
                "model_sentiment": document.sentiment,
                "model_topics": "|".join(document.topics),
            },
            uncertainty=_uncertainty(document.sentiment_probabilities),
            subject=(SUBJECT, document.pk),
        )


def _settled() -> datetime:
    """The moment before which no scored document can appear any more.

    A document bears the time at which its worker's transaction began and is seen once that is committed: rows behind
    the oldest transaction that is still going on would come to lie before the cursor. They wait for the next pull.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(min(xact_start), clock_timestamp()) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
            """
        )
        (moment,) = cursor.fetchone()
    settled: datetime = moment
    return settled


def _uncertainty(probabilities: Mapping[str, Any] | None) -> float | None:
    """One minus the greatest probability (least confidence)."""
    return 1.0 - max(map(float, probabilities.values())) if probabilities else None


DOCUMENTS = RowSource(
    key="finance.documents",
    label=_("Public opinion: scored documents"),
    description=_(
        "Headlines that the monitor has read, to be labelled by people; the most unsure ones can come first."
    ),
    tasks=frozenset({"text-classification", "multi-label-classification", "masked-language-model"}),
    permission=Permission.FINANCE_READ,
    rows=document_rows,
)
