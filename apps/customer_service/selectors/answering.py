"""What an answer is made from: the assistant's settings, the collections, passages with their documents, answers."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from apps.customer_service.models import Answer, Assistant, Message, Passage
from rootstock.common.ids import uuid_of
from rootstock.vectors.models import Collection

PASSAGES = "service-passages"
QUESTIONS = "service-questions"
RETRIEVAL_FIELDS = ("vector_weight", "reranker", "retrieval_report")


def assistant_get(channel: uuid.UUID | None = None) -> Assistant:
    """The assistant of a channel, else the organisation's; one with the defaults, not stored, while nobody has changed
    anything. What finds the sources is the organisation's for all."""
    wanted = Assistant.objects.filter(Q(channel=None) | Q(channel=channel))
    rows = {row.channel_id: row for row in wanted}
    shared = rows.get(None) or Assistant()
    found = rows.get(channel) or shared
    for name in RETRIEVAL_FIELDS:
        setattr(found, name, getattr(shared, name))
    return found


def collection_ids() -> dict[str, uuid.UUID]:
    """The collections of the knowledge by name; one that nobody has made yet is absent."""
    found = Collection.objects.filter(name__in=[PASSAGES, QUESTIONS])
    return {collection.name: collection.pk for collection in found}


@dataclass(frozen=True)
class FoundPassage:
    """A passage as an answer needs it, with what a citation says of it."""

    key: str
    text: str
    headings: tuple[str, ...]
    kind: str
    page: int | None
    language: str
    document: str
    title: str
    url: str

    def citation(self, number: int, quote: str) -> dict[str, Any]:
        """As it is stored with a message."""
        return {
            "number": number,
            "passage": self.key,
            "document": self.document,
            "title": self.title,
            "url": self.url,
            "page": self.page,
            "heading": self.headings[-1] if self.headings else "",
            "quote": quote,
        }


def passages_found(keys: Sequence[str], *, audiences: Iterable[str]) -> dict[str, FoundPassage]:
    """Those of the passages that may be said now, by key: not hidden, not expired, of a source for these audiences."""
    rows = (
        Passage.objects.filter(pk__in=[key for key in keys if uuid_of(key)], hidden=False)
        .filter(
            document__source__removed_at=None,
            document__source__audiences__overlap=list(audiences),
        )
        .select_related("document__source")
    )
    now = timezone.now()
    return {
        str(row.pk): FoundPassage(
            key=str(row.pk),
            text=row.text,
            headings=tuple(row.headings),
            kind=row.kind,
            page=row.page,
            language=row.language,
            document=str(row.document_id),
            title=row.document.title or row.document.source.title,
            url=row.document.url,
        )
        for row in rows
        if not _over(row.document.source.expires_at, now)
    }


def answers_found(
    ids: Iterable[str], *, audiences: Iterable[str], draft: bool
) -> dict[str, tuple[Answer, dict[str, str]]]:
    """Those of the prepared answers that may be given now with their texts by language, by id."""
    rows = Answer.objects.filter(
        pk__in=[key for key in set(ids) if uuid_of(key)],
        audiences__overlap=list(audiences),
    )
    return {str(row.pk): (row, texts) for row in rows if (texts := _sayable(row, draft=draft))}


def answer_of_intent(
    intent: str, *, audiences: Iterable[str], draft: bool
) -> tuple[Answer, dict[str, str]] | None:
    """The prepared answer to an intent with its texts; None where there is none that may be given now."""
    row = Answer.objects.filter(intent=intent, audiences__overlap=list(audiences)).first()
    texts = _sayable(row, draft=draft) if row is not None else {}
    return (row, texts) if row is not None and texts else None


def _sayable(row: Answer, *, draft: bool) -> dict[str, str]:
    """An answer's texts by language; none where it is not published, taken away or expired."""
    gone = row.removed_at is not None if draft else not row.live
    if gone or _over(row.expires_at, timezone.now()):
        return {}
    bodies = row.bodies if draft else row.live_bodies
    return {language: text for language, text in bodies.items() if text and text.strip()}


def turns_before(message: Message, *, most: int = 12) -> list[tuple[str, str]]:
    """What was said before a message, the oldest first, as (author, text); notes are nobody's words."""
    rows = (
        Message.objects.filter(
            conversation=message.conversation_id,
            sequence__lt=message.sequence,
            author__in=[Message.Author.VISITOR, Message.Author.ASSISTANT, Message.Author.AGENT],
        )
        .exclude(state=Message.State.STREAMING)
        .order_by("-sequence")
        .values_list("author", "body")[:most]
    )
    return [(author, body) for author, body in reversed(rows) if body]


def _over(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
