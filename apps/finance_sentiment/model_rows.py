"""Documents as rows of data sets: read, scored ones that wait for a person's label.

The monitor keeps no corrections of its own: a label that a person gives lives in the data set, with its history. What
the model said comes along as metadata, and how unsure it was orders the annotation queue.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.inference import SUBJECT
from apps.finance_sentiment.models import Document
from rootstock.modelhub.sources import RowSource, SourceRow, settled
from rootstock.tenancy.permissions import Permission

_CHUNK = 1000


def document_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """Scored documents in the order in which they were scored."""
    documents = Document.objects.filter(status=Document.Status.SCORED, scored_at__lt=settled())
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
