"""Documents as they arrive: checked, stored once, queued for scoring."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import MonitorClock
from apps.finance_sentiment.services.sources.names import sources_ensure
from rootstock.common.ids import uuid7
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.scope import current_organisation_id

MAX_BATCH = 1000
MAX_LENGTH = {
    "external_id": 200,
    "source": 100,
    "title": 1000,
    "body": 100_000,
    "url": 2000,
    "language": 35,
}
REQUIRED = ("external_id", "source", "title", "published_at")
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
# Clocks of sources run ahead and embargoed news carries tomorrow's date; more is a mistake.
MAX_AHEAD = timedelta(days=1)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")
_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IncomingDocument:
    """A checked document that is not stored yet."""

    external_id: str
    source: str
    title: str
    published_at: datetime
    body: str = ""
    url: str = ""
    language: str = ""
    # the source told no usable time, or this one
    is_undated: bool = False
    declared_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same document when it comes again."""
        return (self.source, self.external_id)


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; the empty field is the document as a whole."""

    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's row after an upsert."""

    id: uuid.UUID
    source: str
    external_id: str
    status: str


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What an upsert did; `documents` in the order they were given."""

    created: int
    updated: int
    unchanged: int
    documents: list[StoredDocument]


def document_parse(
    raw: Any, *, now: datetime, zone: tzinfo | None = None
) -> tuple[IncomingDocument | None, list[FieldError]]:
    """The document in `raw`, or everything that is wrong with it.

    `zone` is the time zone of a `published_at` without one; None refuses such a time.
    """
    if not isinstance(raw, Mapping):
        return None, [FieldError("", _("A document is an object with named fields."))]
    errors: list[FieldError] = []
    texts: dict[str, Any] = {}
    for field, limit in MAX_LENGTH.items():
        try:
            texts[field] = _text(field, raw.get(field), limit=limit)
        except _Refused as error:
            errors.append(FieldError(field, str(error)))
    try:
        published_at = _moment(raw.get("published_at"), now=now, zone=zone)
    except _Refused as error:
        errors.append(FieldError("published_at", str(error)))
    if errors:
        return None, errors
    return IncomingDocument(published_at=published_at, **texts), []


def documents_upsert(*, documents: Sequence[IncomingDocument]) -> UpsertResult:
    """Store documents and queue those that are new or changed for scoring.

    A document that is there already with the same content is left alone, so a batch can be sent
    again. One with another text, time, address or language becomes a new revision and is scored
    again. Keys must be distinct within `documents`.
    """
    if not documents:
        return UpsertResult(0, 0, 0, [])
    changed = _upsert(documents)
    created = sum(1 for is_new in changed if is_new)
    stored = _stored(documents)
    if changed:
        MonitorClock.objects.bulk_create([MonitorClock()], ignore_conflicts=True)
        scoring_request()
    return UpsertResult(
        created=created,
        updated=len(changed) - created,
        unchanged=len(documents) - len(changed),
        documents=[stored[document.key] for document in documents],
    )


def scoring_request() -> None:
    """Ask a worker to score what is pending; requests that nobody has taken yet are one."""
    organisation_id = str(current_organisation_id())
    outbox_write(
        topic="finance.score",
        payload={"organisation_id": organisation_id},
        coalesce_key=f"finance.score:{organisation_id}",
        queue="ingest",
    )


class _Refused(ValueError):
    """Why a field is not accepted, in words for the sender."""


def _text(field: str, value: Any, *, limit: int) -> str:
    """The trimmed text of a field."""
    if not isinstance(value, str | None):
        raise _Refused(_("This must be text."))
    if "\x00" in (value or ""):
        raise _Refused(_("It contains a NUL character."))
    text = str(value or "").strip()
    if not text and field in REQUIRED:
        raise _Refused(_("This field is required and must not be empty."))
    if len(text) > limit:
        raise _Refused(
            _("It has %(length)d characters; at most %(limit)d are taken.")
            % {"length": len(text), "limit": limit}
        )
    if _SURROGATE.search(text):
        raise _Refused(_("It contains half of a surrogate pair, which is not a character."))
    if field in ("external_id", "source") and _CONTROL.search(text):
        raise _Refused(_("It contains a line break or another control character."))
    if field == "language" and text and not _LANGUAGE.fullmatch(text):
        raise _Refused(_("It is not a language tag such as en or zh-Hans."))
    if field == "url" and text and not _URL.fullmatch(text):
        raise _Refused(_("It is not an address that begins with http:// or https://."))
    return text


def _moment(value: Any, *, now: datetime, zone: tzinfo | None) -> datetime:
    """The moment in UTC; `zone` is that of a time without one."""
    if value is None or value == "":
        raise _Refused(_("This field is required."))
    try:
        moment = datetime.fromisoformat(value.strip().upper())
    except (AttributeError, ValueError) as error:
        raise _Refused(_("It is not a date and time such as 2026-03-14T09:26:53Z.")) from error
    if moment.tzinfo is None and zone is None:
        raise _Refused(_("It has no time zone; end it with Z or an offset such as +08:00."))
    try:
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise _Refused(_("It is not a date that can be stored.")) from error
    if moment < EARLIEST:
        raise _Refused(_("It lies before 1970."))
    if moment > now + MAX_AHEAD:
        raise _Refused(_("It lies more than a day in the future."))
    return moment


_COLUMNS = "title, body, url, language, published_at"
_EXCLUDED = ", ".join(f"excluded.{column.strip()}" for column in _COLUMNS.split(","))
_CURRENT = ", ".join(f"document.{column.strip()}" for column in _COLUMNS.split(","))
# Rows go in in the order of their keys, so that two batches with common documents cannot wait for
# each other.
_UPSERT = f"""
    INSERT INTO finance_sentiment_document AS document (
        id, organisation_id, created_at, updated_at, received_at, source, external_id, {_COLUMNS},
        is_undated, declared_at, source_ref_id,
        revision, status, unscored_reason, sentiment, language_detected, topics, models_used,
        attempts
    )
    SELECT id, %s, now(), now(), now(), source, external_id, {_COLUMNS},
           is_undated, declared_at, source_ref_id,
           1, 'pending', '', '', '', '{{}}', '[]', 0
    FROM unnest(
        %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::timestamptz[], %s::boolean[], %s::timestamptz[], %s::uuid[]
    ) AS incoming (
        id, source, external_id, {_COLUMNS}, is_undated, declared_at, source_ref_id
    )
    ORDER BY source, external_id
    ON CONFLICT (organisation_id, source, external_id) DO UPDATE
    SET ({_COLUMNS}) = ({_EXCLUDED}),
        is_undated = excluded.is_undated, declared_at = excluded.declared_at,
        source_ref_id = excluded.source_ref_id,
        revision = document.revision + 1, status = 'pending', unscored_reason = '',
        claimed_until = NULL, attempts = 0, received_at = now(), updated_at = now()
    WHERE ({_CURRENT}) IS DISTINCT FROM ({_EXCLUDED})
    RETURNING revision = 1
"""  # noqa: S608 - only constants


# What an edit is about to overwrite. The rows are locked in the order in which they will be written.
_KEEP_VERSIONS = f"""
    INSERT INTO finance_sentiment_documentversion (
        id, organisation_id, created_at, updated_at, document_id, revision, received_at, {_COLUMNS}
    )
    SELECT gen_random_uuid(), %s, now(), now(), id, revision, received_at, {_COLUMNS}
    FROM (
        SELECT document.id, document.revision, document.received_at, {_CURRENT}
        FROM unnest(
            %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::timestamptz[]
        ) AS excluded (source, external_id, {_COLUMNS})
        JOIN finance_sentiment_document document USING (source, external_id)
        WHERE ({_CURRENT}) IS DISTINCT FROM ({_EXCLUDED})
        ORDER BY document.source, document.external_id
        FOR UPDATE OF document
    ) edited
    ON CONFLICT (document_id, revision) DO NOTHING
"""  # noqa: S608 - only constants


def _upsert(documents: Sequence[IncomingDocument]) -> list[bool]:
    """For each row that was written, whether it is new. What an edit overwrites is kept as a version."""
    sources = sources_ensure(names=[document.source for document in documents])
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP_VERSIONS,
            [
                current_organisation_id(),
                [document.source for document in documents],
                [document.external_id for document in documents],
                [document.title for document in documents],
                [document.body for document in documents],
                [document.url for document in documents],
                [document.language for document in documents],
                [document.published_at for document in documents],
            ],
        )
        cursor.execute(
            _UPSERT,
            [
                current_organisation_id(),
                [uuid7() for _document in documents],
                [document.source for document in documents],
                [document.external_id for document in documents],
                [document.title for document in documents],
                [document.body for document in documents],
                [document.url for document in documents],
                [document.language for document in documents],
                [document.published_at for document in documents],
                [document.is_undated for document in documents],
                [document.declared_at for document in documents],
                [sources[document.source] for document in documents],
            ],
        )
        return [row[0] for row in cursor.fetchall()]


def _stored(documents: Iterable[IncomingDocument]) -> dict[tuple[str, str], StoredDocument]:
    keys = [document.key for document in documents]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT document.id, document.source, document.external_id, document.status
            FROM unnest(%s::text[], %s::text[]) AS wanted (source, external_id)
            JOIN finance_sentiment_document document USING (source, external_id)
            """,
            [[source for source, _id in keys], [external_id for _source, external_id in keys]],
        )
        rows = [StoredDocument(*row) for row in cursor.fetchall()]
    return {(row.source, row.external_id): row for row in rows}
