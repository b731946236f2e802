"""Documents: their bytes, their versions, and what reading made of them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.customer_service.inference.passages import Chunk
from apps.customer_service.inference.text import language_of
from apps.customer_service.models import Document, Passage, Source
from apps.customer_service.services.passage_items import flags_write, items_remove, items_write
from apps.customer_service.services.reading.document import Reading, Unreadable
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.tenancy.scope import current_organisation_id

_LONGEST_HEADING = 300
_LOOK = 2000


def digest_of(data: bytes) -> str:
    """SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def version_newest(source: Source, key: str) -> Document | None:
    """The newest version of a file or page, however far its reading is."""
    return source.documents.filter(key=key).order_by("-version").first()


def document_add(
    *, source: Source, key: str, data: bytes, title: str = "", **fields: Any
) -> Document:
    """Store bytes as a new version that waits to be read. The caller holds the source's row."""
    document = Document(source=source, key=key[:2000], title=title[:300], size=len(data), **fields)
    document.version = 1 + (
        source.documents.filter(key=document.key).aggregate(most=Max("version"))["most"] or 0
    )
    document.digest = digest_of(data)
    document.fetched_at = timezone.now()
    name = f"service/{current_organisation_id().hex}/{document.pk.hex}"
    document.path = default_storage.save(name, ContentFile(data))
    document.save(force_insert=True)
    return document


def document_fail(document: Document, text: str, values: Mapping[str, Any] | None = None) -> None:
    """Say why nothing could be read of it."""
    document.state = Document.State.FAILED
    document.problem, document.problem_values = text, dict(values or {})
    document.save(update_fields=["state", "problem", "problem_values", "updated_at"])


def document_file(document: Document) -> Path:
    """Where its bytes are.

    Raises:
        Unreadable: they are gone.
    """
    if not document.path or not default_storage.exists(document.path):
        raise Unreadable(gettext_noop("Its file is no longer there. Give it again."))
    return Path(default_storage.path(document.path))


def document_finish(document_id: uuid.UUID, reading: Reading, chunks: Sequence[Chunk]) -> str:
    """Store what was read: "read", "unchanged" when the text is that of the version before, or "" when it is no longer
    waited for.

    The draft has the new version instead of the former one from here on; visitors get it with the next release.
    """
    source = Source.objects.select_for_update().filter(documents=document_id).first()
    document = Document.objects.filter(pk=document_id, state=Document.State.READING).first()
    if source is None or document is None:
        return ""
    passages = _passages(document, reading, chunks)
    if _is_unchanged(document, passages):
        return "unchanged"
    Passage.objects.filter(document=document).delete()
    Passage.objects.bulk_create(passages, batch_size=1000)
    document.state = Document.State.READY
    document.problem, document.problem_values = "", {}
    document.title = (reading.title or document.title)[:300]
    document.pages = reading.pages
    document.passage_count = len(passages)
    document.language = reading.language or (passages[0].language if passages else "")
    document.notes = [[text, values] for text, values in reading.notes]
    document.read_at = timezone.now()
    document.save()
    items_write([document])
    flags_write(source)
    return "read"


def _passages(document: Document, reading: Reading, chunks: Sequence[Chunk]) -> list[Passage]:
    sample = " ".join(chunk.text for chunk in chunks[:20])[:_LOOK]
    language = language_of(sample, hint=reading.language)
    return [
        Passage(
            document=document,
            position=position,
            headings=[heading[:_LONGEST_HEADING] for heading in chunk.headings],
            text=chunk.text,
            kind=chunk.kind,
            page=chunk.page,
            language=language_of(chunk.text[:_LOOK], hint=language),
        )
        for position, chunk in enumerate(chunks)
    ]


def _is_unchanged(document: Document, passages: Sequence[Passage]) -> bool:
    """Whether a page says what it said before, though its bytes differ; then the version before stands for it."""
    before = (
        Document.objects.filter(source_id=document.source_id, key=document.key)
        .filter(state=Document.State.READY, version__lt=document.version, gone_at=None)
        .order_by("-version")
        .first()
    )
    if before is None or before.path == "":
        return False
    told = [(list(each.headings), each.text) for each in before.passages.order_by("position")]
    if told != [(each.headings, each.text) for each in passages]:
        return False
    for name in ("digest", "etag", "last_modified", "fetched_at", "size", "content_type"):
        setattr(before, name, getattr(document, name))
    path, before.path = before.path, document.path
    document.delete()
    before.save()
    default_storage.delete(path)
    return True


def passage_hide(*, passage: Passage, hidden: bool, actor: Actor) -> Passage:
    """Take a passage out, for visitors and the draft at once, or bring it back."""
    document = Document.objects.select_related("source").get(pk=passage.document_id)
    source = Source.objects.select_for_update().get(pk=document.source_id)
    if passage.hidden == hidden:
        return passage
    passage.hidden = hidden
    passage.save(update_fields=["hidden", "updated_at"])
    if hidden:
        items_remove([passage])
    else:
        items_write([document])
        flags_write(source)
    audit_record(
        actor=actor,
        action="service.passage.hide" if hidden else "service.passage.show",
        target=str(document)[:200],
        target_id=str(passage.pk),
    )
    return passage


def document_retry(*, document: Document) -> None:
    """Have a document read once more.

    Raises:
        Problem: 409, it has been read, or waits to be.
    """
    fresh = Document.objects.select_for_update().get(pk=document.pk)
    if fresh.state != Document.State.FAILED:
        raise Problem(409, "not-failed", _("It has not failed."))
    fresh.state = Document.State.WAITING
    fresh.problem, fresh.problem_values = "", {}
    fresh.save(update_fields=["state", "problem", "problem_values", "updated_at"])
