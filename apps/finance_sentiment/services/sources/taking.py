"""Items of a polled source become documents: known ones are found again, the time of each is settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.finance_sentiment.models import Note, RefusedItem, Source, SourceItem
from apps.finance_sentiment.services.intake import (
    EARLIEST,
    MAX_LENGTH,
    FieldError,
    IncomingDocument,
    document_parse,
    documents_upsert,
)
from apps.finance_sentiment.services.sources.items import Identity, RawItem, identities
from apps.finance_sentiment.services.sources.refusing import Refusal, refusals_note
from apps.finance_sentiment.services.sources.times import time_parse

# Clocks of publishers run ahead by this much; what is read now and dated later has a wrong date.
FUTURE_GRACE = timedelta(minutes=10)
# An item without a title is called by its beginning.
_LONGEST_MADE_TITLE = 120
NO_WORDS = gettext_noop("It has neither a title nor a text.")


@dataclass(frozen=True, slots=True)
class Seen:
    """An item beside what is stored of it; `known` is None for a new one."""

    item: RawItem
    identity: Identity
    known: SourceItem | None

    @property
    def external_id(self) -> str:
        """Under which its document is stored."""
        return self.known.external_id if self.known else self.identity.external_id


@dataclass(slots=True)
class Taken:
    """What became of the items of one answer."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Dated:
    """When an item was published, as far as can be said."""

    published_at: datetime
    is_undated: bool
    declared_at: datetime | None


def items_match(*, source: Source, items: Sequence[RawItem]) -> tuple[list[Seen], bool]:
    """Each different item with what is stored of it, and whether some came twice.

    An item is a stored one if its guid is, or if its link is and the stored guid is on none of the items beside it:
    publishers give an edited item another guid, but two items of one feed are two.
    """
    marks = identities(items)
    index = _Index.load(source, marks)
    beside = {mark.guid_key for mark in marks if mark.guid_key}
    found: dict[str, Seen] = {}
    for item, mark in zip(items, marks, strict=True):
        seen = Seen(item, mark, index.find(mark, beside))
        found.setdefault(seen.external_id, seen)
    return list(found.values()), len(found) < len(items)


@dataclass(slots=True)
class _Index:
    """The stored items that could be meant, by each of their marks."""

    by_id: dict[str, SourceItem] = field(default_factory=dict)
    by_guid: dict[bytes, SourceItem] = field(default_factory=dict)
    by_link: dict[bytes, SourceItem] = field(default_factory=dict)

    @classmethod
    def load(cls, source: Source, marks: Sequence[Identity]) -> _Index:
        index = cls()
        guids = [mark.guid_key for mark in marks if mark.guid_key]
        links = [mark.link_key for mark in marks if mark.link_key]
        ids = [mark.external_id for mark in marks]
        for mark in (
            Q(guid_key__in=guids),
            Q(link_key__in=links),
            Q(external_id__in=ids),
        ):
            for row in SourceItem.objects.filter(mark, source=source):
                index.by_id[row.external_id] = row
                if row.guid_key:
                    index.by_guid[bytes(row.guid_key)] = row
                if row.link_key:
                    index.by_link[bytes(row.link_key)] = row
        return index

    def find(self, mark: Identity, beside: set[bytes]) -> SourceItem | None:
        if mark.guid_key and mark.guid_key in self.by_guid:
            return self.by_guid[mark.guid_key]
        row = self.by_link.get(mark.link_key) if mark.link_key else None
        if row is not None and (not row.guid_key or bytes(row.guid_key) not in beside):
            return row
        return self.by_id.get(mark.external_id)


def items_take(
    *,
    source: Source,
    seen: Sequence[Seen],
    now: datetime,
    zone: tzinfo = UTC,
    spoken: bool = False,
    articles: Mapping[str, str] | None = None,
    refusals: Iterable[Refusal] = (),
) -> Taken:
    """Store what is new or changed; what cannot be stored becomes a dead letter.

    Args:
        zone: of times that name none. spoken: times may be "3 hours ago".
        articles: texts of articles by external id. refusals: what went wrong before, noted with the rest.
    """
    taken = Taken()
    documents: list[IncomingDocument] = []
    rows: list[SourceItem] = []
    refused = list(refusals)
    incomplete = {refusal.key for refusal in refused}
    for each in seen:
        declared = time_parse(each.item.time, zone=zone, spoken=spoken)
        dated = _dated(declared, now)
        if _is_unchanged(each, dated):
            taken.unchanged += 1
            continue
        dated = _settled(each.known, dated)
        _note(taken, Note.UNDATED, dated.is_undated and dated.declared_at is None)
        _note(taken, Note.FUTURE, dated.declared_at is not None and dated.declared_at > now)
        raw = _raw(source, each, dated, (articles or {}).get(each.external_id, ""))
        document, errors = document_parse(raw, now=now)
        if not raw["title"]:
            document, errors = None, [FieldError("", _(NO_WORDS))]
        if document is None:
            reasons = [{"field": error.field, "detail": error.detail} for error in errors]
            refused.append(Refusal(each.external_id, raw, reasons))
            continue
        documents.append(
            replace(document, is_undated=dated.is_undated, declared_at=dated.declared_at)
        )
        rows.append(_row(source, each, dated))
    result = documents_upsert(documents=documents)
    taken.created, taken.updated = result.created, result.updated
    taken.unchanged += result.unchanged
    taken.refused = len(refused)
    _note(taken, Note.REFUSED, bool(refused))
    _remember(rows)
    refusals_note(source=source, refusals=refused, now=now)
    _settle_refused(source, [row.external_id for row in rows if row.external_id not in incomplete])
    return taken


def _note(taken: Taken, note: Note, holds: bool) -> None:
    if holds and note not in taken.notes:
        taken.notes.append(note)


def _is_unchanged(each: Seen, dated: Dated) -> bool:
    known = each.known
    if known is None or bytes(known.content_key) != each.identity.content_key:
        return False
    return dated.is_undated or not known.is_undated


def _dated(declared: datetime | None, now: datetime) -> Dated:
    if declared is None:
        return Dated(now, is_undated=True, declared_at=None)
    if declared > now + FUTURE_GRACE or declared < EARLIEST:
        return Dated(now, is_undated=True, declared_at=declared)
    return Dated(declared, is_undated=False, declared_at=None)


def _settled(known: SourceItem | None, dated: Dated) -> Dated:
    """An edited item keeps its time; an undated one gets a time as soon as it has one."""
    if known is None or (known.is_undated and not dated.is_undated):
        return dated
    return replace(dated, published_at=known.published_at, is_undated=known.is_undated)


def _raw(source: Source, each: Seen, dated: Dated, article: str) -> dict[str, Any]:
    """The document as it would come over REST. What is too long is cut: nobody is there to correct it."""
    item = each.item
    body = article or item.body
    title = item.title.replace("\n", " ") or _cut(body.replace("\n", " "), _LONGEST_MADE_TITLE)
    language = item.language or source.language
    return {
        "external_id": each.external_id,
        "source": source.name,
        "title": _cut(title, MAX_LENGTH["title"]),
        "body": _cut(body if body != title else "", MAX_LENGTH["body"]),
        "url": item.link if len(item.link) <= MAX_LENGTH["url"] else "",
        "language": language if _is_tag(language) else "",
        "published_at": dated.published_at.isoformat(),
    }


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def _is_tag(language: str) -> bool:
    parts = language.replace("_", "-").split("-")
    return (
        len(language) <= MAX_LENGTH["language"]
        and language.isascii()
        and parts[0].isalpha()
        and len(parts[0]) in (2, 3)
        and all(part.isalnum() and len(part) <= 8 for part in parts[1:])
    )


def _row(source: Source, each: Seen, dated: Dated) -> SourceItem:
    return SourceItem(
        source=source,
        external_id=each.external_id,
        guid_key=each.identity.guid_key,
        link_key=each.identity.link_key,
        content_key=each.identity.content_key,
        published_at=dated.published_at,
        is_undated=dated.is_undated,
    )


def _remember(rows: list[SourceItem]) -> None:
    SourceItem.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organisation", "source", "external_id"],
        update_fields=[
            "guid_key",
            "link_key",
            "content_key",
            "published_at",
            "is_undated",
            "updated_at",
        ],
    )


def _settle_refused(source: Source, external_ids: list[str]) -> None:
    """What was refused and is taken in now needs nobody any more."""
    RefusedItem.objects.filter(
        source=source, key__in=external_ids, state=RefusedItem.State.OPEN
    ).update(state=RefusedItem.State.TAKEN)
