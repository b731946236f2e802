"""Entities, and where documents mention them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from apps.finance_sentiment.models import Mention


def mentions_of(document_ids: Iterable[uuid.UUID]) -> QuerySet[Mention]:
    """What these documents say of known entities, in the order of the text; the entity comes along.

    An entity named three times in a document has three mentions: count distinct documents.
    """
    return (
        Mention.objects.filter(document_id__in=list(document_ids), state=Mention.State.LINKED)
        .select_related("entity")
        .order_by("document_id", "start")
    )
