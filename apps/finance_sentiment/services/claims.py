"""Which worker has which waiting document: claiming, putting back, and what is still to be written."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

# A document that was there this often when a worker died goes alone; after more it is given up.
SUSPECT_ATTEMPTS = 3
MAX_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Claimed:
    """A pending document that this worker has taken."""

    id: uuid.UUID
    revision: int
    title: str
    body: str
    language: str
    attempts: int
    published_at: datetime


_CLAIM = """
    WITH next AS (
        SELECT id FROM finance_sentiment_document
        WHERE status = 'pending' AND (claimed_until IS NULL OR claimed_until < now())
          AND attempts {attempts}
        ORDER BY id
        LIMIT %s
        FOR UPDATE SKIP LOCKED
    )
    UPDATE finance_sentiment_document document
    SET claimed_until = now() + make_interval(secs => %s), attempts = document.attempts + 1
    FROM next WHERE document.id = next.id
    RETURNING document.id, document.revision, document.title, document.body, document.language,
              document.attempts, document.published_at
"""


def documents_claim(size: int) -> list[Claimed]:
    """Up to a batch of waiting documents; one that a worker may have died of comes alone.

    A worker that takes longer than a message's lease is taken for dead, and others may claim them.
    """
    with connection.cursor() as cursor:
        for attempts, limit in ((f"< {SUSPECT_ATTEMPTS}", size), (f">= {SUSPECT_ATTEMPTS}", 1)):
            cursor.execute(
                _CLAIM.format(attempts=attempts), [limit, settings.ROOTSTOCK_LEASE_SECONDS]
            )
            rows = cursor.fetchall()
            if rows:
                return sorted((Claimed(*row) for row in rows), key=lambda claimed: claimed.id)
    return []


def documents_release(claimed: Sequence[Claimed]) -> None:
    """Put documents back that nobody could classify; that does not count as an attempt."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE finance_sentiment_document document
            SET claimed_until = NULL, attempts = document.attempts - 1
            FROM unnest(%s::uuid[], %s::integer[]) AS ours (id, revision)
            WHERE document.id = ours.id AND document.revision = ours.revision
              AND document.status = 'pending' AND document.attempts > 0
            """,
            [[document.id for document in claimed], [document.revision for document in claimed]],
        )


@dataclass(frozen=True, slots=True)
class Current:
    """What a document's row says at the moment of writing."""

    id: uuid.UUID
    published_at: datetime
    counted_at: datetime | None
    story_id: uuid.UUID | None


def documents_held(documents: Iterable[Claimed]) -> dict[uuid.UUID, Current]:
    """The rows that are still waiting for exactly this result, locked."""
    held = list(documents)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT document.id, document.published_at, document.counted_at, document.story_id
            FROM unnest(%s::uuid[], %s::integer[]) AS ours (id, revision)
            JOIN finance_sentiment_document document USING (id, revision)
            WHERE document.status = 'pending'
            FOR UPDATE OF document SKIP LOCKED
            """,
            [
                [document.id for document in held],
                [document.revision for document in held],
            ],
        )
        rows = [Current(*row) for row in cursor.fetchall()]
    return {row.id: row for row in rows}
