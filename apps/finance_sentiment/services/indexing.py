"""Keeping the search index as the documents are: words and facets of each, written in one statement."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

from django.db import connection

from apps.finance_sentiment.models import Document
from apps.finance_sentiment.selectors.words import text_numbers
from rootstock.tenancy.scope import current_organisation_id

CHUNK = 500

# A facet's number is made as `selectors.words.term_number` makes it.
_STORE = """
    INSERT INTO finance_sentiment_documentwords (document_id, organisation_id, published_at, terms)
    SELECT document.id, document.organisation_id, document.published_at,
           given.words || ARRAY(
               SELECT ('x' || left(md5(%(organisation)s || ':' || facet.of), 8))::bit(32)::integer
               FROM (
                   SELECT 'day:' || to_char(document.published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                   UNION ALL SELECT 'source:' || document.source
                   UNION ALL SELECT 'status:' || document.status
                   UNION ALL SELECT 'language:' || document.language_detected
                       WHERE document.language_detected <> ''
                   UNION ALL SELECT 'event:' || document.event WHERE document.event <> ''
                   UNION ALL SELECT 'sentiment:' || document.sentiment
                       WHERE document.status = 'scored' AND document.sentiment <> ''
                   UNION ALL SELECT 'topic:' || topic FROM unnest(document.topics) AS topic
                       WHERE document.status = 'scored'
                   UNION SELECT 'entity:' || mention.entity_id
                       FROM finance_sentiment_mention mention
                       WHERE mention.document_id = document.id AND mention.state = 'linked'
                         AND mention.entity_id IS NOT NULL
               ) AS facet (of)
           )
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS given (id uuid, words integer[])
    JOIN finance_sentiment_document document ON document.id = given.id
    ORDER BY document.id
    ON CONFLICT (document_id) DO UPDATE
    SET published_at = excluded.published_at, terms = excluded.terms
"""


def documents_index(*, document_ids: Iterable[uuid.UUID]) -> int:
    """Write what these documents are found by, from their rows and mentions; returns how many there were.

    Whoever changes a document's text, time, sentiment, topics or mentions calls it in the same transaction.
    """
    texts = list(
        Document.objects.filter(pk__in=list(document_ids)).values_list("pk", "title", "body")
    )
    if not texts:
        return 0
    rows = [{"id": str(pk), "words": text_numbers(title, body)} for pk, title, body in texts]
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE, {"rows": json.dumps(rows), "organisation": str(current_organisation_id())}
        )
    return len(rows)


def documents_reindex(*, after: uuid.UUID | None) -> tuple[int, uuid.UUID | None]:
    """Index the next documents of the organisation: how many, and the last of them. Call in one transaction a chunk."""
    documents = Document.objects.exclude(status=Document.Status.PENDING).order_by("pk")
    if after is not None:
        documents = documents.filter(pk__gt=after)
    found = list(documents.values_list("pk", flat=True)[:CHUNK])
    documents_index(document_ids=found)
    return len(found), found[-1] if found else None
