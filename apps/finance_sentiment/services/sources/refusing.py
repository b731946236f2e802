"""Dead letters: what could not be taken in, why, and another try."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.finance_sentiment.models import RefusedItem, Source, SourceItem, SourcePolling
from apps.finance_sentiment.services.intake import (
    FieldError,
    document_parse,
    documents_upsert,
)
from rootstock.common.ids import uuid7
from rootstock.tenancy.scope import current_organisation_id

# The field of a reason that is about the linked article; the item itself is stored.
ARTICLE = "article"
# No content has it: the item counts as changed when it is seen next.
UNREAD = bytes(16)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item that could not be taken in, by which it is known, as it came, and what is wrong with it."""

    key: str
    payload: dict[str, Any]
    reasons: list[dict[str, str]]


class StillRefused(ValueError):
    """A dead letter that is no document yet."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field} {error.detail}".strip() for error in errors))
        self.errors = list(errors)


# What somebody has dismissed stays so, however often it comes again.
_NOTE = """
    INSERT INTO finance_sentiment_refuseditem AS refused (
        id, created_at, updated_at, organisation_id, source_id, key, title, payload, reasons, state,
        times, last_at
    )
    SELECT id, now(), now(), %s, %s, key, title, payload, reasons, 'open', 1, %s
    FROM jsonb_to_recordset(%s::jsonb) AS item (
        id uuid, key text, title text, payload jsonb, reasons jsonb
    )
    ORDER BY key
    ON CONFLICT (organisation_id, source_id, key) DO UPDATE
    SET title = excluded.title, payload = excluded.payload, reasons = excluded.reasons,
        times = refused.times + 1, last_at = excluded.last_at, updated_at = now(),
        state = CASE WHEN refused.state = 'dismissed' THEN 'dismissed' ELSE 'open' END
"""


def refusals_note(*, source: Source, refusals: Sequence[Refusal], now: datetime) -> None:
    """Keep dead letters; one that is there already is counted again."""
    if not refusals:
        return
    latest = {refusal.key: refusal for refusal in refusals}
    items = [
        {
            "id": str(uuid7()),
            "key": key,
            "title": str(refusal.payload.get("title") or "")[:300],
            "payload": refusal.payload,
            "reasons": refusal.reasons,
        }
        for key, refusal in latest.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _NOTE,
            [current_organisation_id(), source.pk, now, json.dumps(items)],
        )


def refused_retry(*, item: RefusedItem, changes: Mapping[str, Any] | None = None) -> None:
    """Take a dead letter in after all, with corrected fields if any are given.

    One whose article could not be read waits for the next poll, which is made due now.

    Raises:
        StillRefused: it is no document yet; what was corrected is kept.
    """
    source = Source.objects.get(pk=item.source_id)
    if any(reason.get("field") == ARTICLE for reason in item.reasons):
        _read_again(item)
        return
    now = timezone.now()
    # Whose document it is, and which, is not for a correction to say.
    fixed = {"source": source.name, "external_id": item.payload.get("external_id") or item.key}
    payload = {**item.payload, **(changes or {}), **fixed}
    document, errors = document_parse(payload, now=now, zone=timezone.get_current_timezone())
    if document is None:
        raise StillRefused(errors)
    documents_upsert(documents=[document])
    item.payload = payload
    item.state = RefusedItem.State.TAKEN
    item.save(update_fields=["payload", "state", "updated_at"])


def _read_again(item: RefusedItem) -> None:
    SourceItem.objects.filter(source_id=item.source_id, external_id=item.key).update(
        content_key=UNREAD
    )
    SourcePolling.objects.filter(source_id=item.source_id, next_at__isnull=False).update(
        next_at=timezone.now(), etag="", last_modified="", digest=None
    )


def refused_retry_all(*, source: Source | None = None, most: int = 500) -> tuple[int, int]:
    """Try every open dead letter again; returns how many were taken in, and how many are refused still."""
    open_items = RefusedItem.objects.filter(state=RefusedItem.State.OPEN).order_by("-last_at")
    if source is not None:
        open_items = open_items.filter(source=source)
    taken = refused = 0
    for item in open_items[:most]:
        try:
            refused_retry(item=item)
            taken += 1
        except StillRefused:
            refused += 1
    return taken, refused


def refused_dismiss(*, item: RefusedItem) -> None:
    """Nobody wants it: it stays out, also when it comes again."""
    item.state = RefusedItem.State.DISMISSED
    item.save(update_fields=["state", "updated_at"])
