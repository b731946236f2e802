"""Passages and questions as items of search collections: what a search may find of them, and for whom.

An item carries `draft` and `live`: whether it belongs to what editors try, and to what visitors are answered from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection

from apps.customer_service.models import Document, Passage, Release, Source
from apps.customer_service.selectors.answering import PASSAGES, QUESTIONS
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.scope import current_organisation_id
from rootstock.vectors.models import Collection
from rootstock.vectors.services import (
    ItemInput,
    collection_create,
    items_delete,
    items_set_attributes,
    items_upsert,
)

_BATCH = 500
_AUDIENCE = "aud_"


class Collections(NamedTuple):
    """The two collections of an organisation."""

    passages: Collection
    questions: Collection


def collections_get() -> Collections:
    """The collections of passages and of questions, made on first use."""
    found = {each.name: each for each in Collection.objects.filter(name__in=[PASSAGES, QUESTIONS])}
    if len(found) < 2:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtext('service-collections'), hashtext(%s))",
                [str(current_organisation_id())],
            )
        for name, kind in ((PASSAGES, "passages"), (QUESTIONS, "questions")):
            found[name] = Collection.objects.filter(name=name).first() or collection_create(
                name=name, kind=kind, actor=SYSTEM
            )
    return Collections(found[PASSAGES], found[QUESTIONS])


def audience_attributes(audiences: Iterable[str]) -> dict[str, bool]:
    """The attributes by which a search for an audience finds an item."""
    return {f"{_AUDIENCE}{audience}": True for audience in audiences}


def live_documents() -> set[str]:
    """Ids of the documents that visitors are answered from."""
    newest = Release.objects.order_by("-number").values_list("documents", flat=True).first()
    return set(newest or [])


def draft_documents(source: Source | None = None) -> list[Document]:
    """The newest version of each file or page that has been read, of sources that are neither removed nor expired."""
    documents = Document.objects.filter(
        state=Document.State.READY, source__removed_at=None, source__expired=False
    )
    if source is not None:
        documents = documents.filter(source=source)
    newest = documents.order_by("source_id", "key", "-version").distinct("source_id", "key")
    return [each for each in newest if each.gone_at is None]


def items_write(documents: Sequence[Document]) -> None:
    """Put the passages of documents into the collection, for neither draft nor live yet."""
    collection = collections_get().passages
    sources = {each.pk: each for each in Source.objects.filter(documents__in=documents).distinct()}
    for document in documents:
        shared = {"document": str(document.pk), "draft": False, "live": False}
        shared |= audience_attributes(sources[document.source_id].audiences)
        passages = list(document.passages.filter(hidden=False).order_by("position"))
        for start in range(0, len(passages), _BATCH):
            items_upsert(
                collection=collection,
                items=[_item(each, document, shared) for each in passages[start : start + _BATCH]],
            )


def _item(passage: Passage, document: Document, shared: dict[str, Any]) -> ItemInput:
    return ItemInput(
        str(passage.pk),
        "\n".join([*passage.headings, passage.text]),
        (document.url or document.title or document.key)[:500],
        {**shared, "language": passage.language},
    )


def flags_write(source: Source) -> None:
    """Bring `draft` and `live` of a source's items to what its documents are now."""
    over = source.expired or source.removed_at is not None
    live = set() if over else live_documents()
    draft = {str(document.pk) for document in draft_documents(source)}
    groups: defaultdict[tuple[bool, bool], list[str]] = defaultdict(list)
    documents = source.documents.filter(state=Document.State.READY)
    for document_id in map(str, documents.values_list("pk", flat=True)):
        groups[document_id in draft, document_id in live].append(document_id)
    for (in_draft, in_live), ids in groups.items():
        documents_flag(ids, draft=in_draft, live=in_live)


def documents_flag(document_ids: Iterable[str], **flags: bool) -> int:
    """Set `draft` or `live` of all passages of these documents; returns how many items changed."""
    return items_set_attributes(
        collection=collections_get().passages, keys=passage_keys(document_ids), values=flags
    )


def audiences_write(source: Source, before: Iterable[str]) -> None:
    """Bring the audiences of a source's items to what it says now, in the draft and for visitors alike."""
    documents = map(str, source.documents.values_list("pk", flat=True))
    items_set_attributes(
        collection=collections_get().passages,
        keys=passage_keys(documents),
        values=audience_attributes(source.audiences),
        remove=list(audience_attributes(before)),
    )


def passage_keys(document_ids: Iterable[str]) -> list[str]:
    """Keys of the items of documents."""
    found = Passage.objects.filter(document_id__in=list(document_ids))
    return [str(pk) for pk in found.values_list("pk", flat=True)]


def items_remove(passages: Sequence[Passage]) -> None:
    """Take passages out of the collection."""
    items_delete(
        collection=collections_get().passages, keys=[str(passage.pk) for passage in passages]
    )
