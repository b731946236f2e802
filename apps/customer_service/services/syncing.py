"""The job that visits a source and reads what waits of it. Done again after a crash, it goes on where it was."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_noop

from apps.customer_service.inference.passages import passages_of
from apps.customer_service.models import Document, Source
from apps.customer_service.services.crawling.sites import Frontier
from apps.customer_service.services.crawling.visiting import NotVisited, Visitor
from apps.customer_service.services.documents import (
    digest_of,
    document_add,
    document_fail,
    document_file,
    document_finish,
    version_newest,
)
from apps.customer_service.services.passage_items import flags_write
from apps.customer_service.services.reading.document import Unreadable
from apps.customer_service.services.reading.process import file_read
from apps.customer_service.services.sources import WEB
from rootstock.common.http import Answer
from rootstock.jobs.runner import JobCancelled, JobContext

CANCELLED = gettext_noop("Reading was cancelled. Try it again when you like.")
_HALF = 0.5


@dataclass(slots=True)
class _Visit:
    """What a visit of a source came to."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[NotVisited] = field(default_factory=list)


def execute_sync(context: JobContext) -> dict[str, Any]:
    """Visit the job's source, if it is a page or a site, and read its documents that wait."""
    with context.scope():
        source = Source.objects.filter(pk=context.params["source"], removed_at=None).first()
        if source is None:
            return {}
        if context.attempt > 1:
            source.documents.filter(state=Document.State.READING).update(
                state=Document.State.WAITING
            )
    counts: Counter[str] = Counter()
    try:
        if source.kind in WEB:
            counts += _visit(context, source)
        counts += _read(context, source)
    except JobCancelled:
        with context.scope():
            for document in _pending(source):
                document_fail(document, CANCELLED)
        raise
    return dict(counts)


# --- visiting ----------------------------------------------------------------------------------


def _visit(context: JobContext, source: Source) -> Counter[str]:
    visit = _Visit()
    context.progress(0.0, phase=gettext_noop("visit"), message=source.url)
    try:
        visitor = Visitor.arrive(source.url, context.check)
        for address, answer in _pages(context, source, visitor, visit):
            with context.scope():
                visit.counts[page_store(source.pk, address, answer)] += 1
    except NotVisited as error:
        visit.problems.append(error)
    with context.scope():
        fresh = Source.objects.select_for_update().get(pk=source.pk)
        fresh.synced_at = timezone.now()
        fresh.problem, fresh.problem_values = _summary(visit)
        fresh.save(update_fields=["synced_at", "problem", "problem_values", "updated_at"])
        if visit.counts["gone"]:
            flags_write(fresh)
    return visit.counts


def _pages(
    context: JobContext, source: Source, visitor: Visitor, visit: _Visit
) -> Iterator[tuple[str, Answer]]:
    """What there is at each address of the source, visited once since the job was asked for."""
    since = datetime.fromisoformat(context.params["since"])
    frontier = Frontier(visitor, source.page_limit)
    if source.kind == Source.Kind.URL:
        frontier.add([source.url])
    else:
        frontier.begin()
    with context.scope():
        known = {each.key: each for each in _newest(source)}
    if source.kind == Source.Kind.SITEMAP and not frontier.cut:
        # A page that nothing leads to any more may be gone: looking says so.
        frontier.add(key for key, document in known.items() if document.gone_at is None)
    for done, address in enumerate(frontier, 1):
        context.progress(_HALF * done / max(done, len(frontier)), message=address)
        before = known.get(address)
        if before is not None and before.fetched_at is not None and before.fetched_at >= since:
            continue
        try:
            answer = visitor.visit(address, _conditions(before))
        except NotVisited as error:
            with context.scope():
                visit.counts[page_missed(source.pk, address, error)] += 1
            visit.problems += [] if error.gone else [error]
            continue
        if "html" in answer.headers.get("content-type", "html"):
            frontier.follow(answer.body, answer.url)
        yield address, answer


def _newest(source: Source) -> list[Document]:
    return list(source.documents.order_by("key", "-version").distinct("key"))


def _conditions(before: Document | None) -> dict[str, str]:
    if before is None or before.state != Document.State.READY or before.gone_at is not None:
        return {}
    told = {"If-None-Match": before.etag, "If-Modified-Since": before.last_modified}
    return {name: value for name, value in told.items() if value}


def page_store(source_id: uuid.UUID, address: str, answer: Answer) -> str:
    """Keep a page as a new version, unless it is what it was: "new", "changed" or "same"."""
    source = Source.objects.select_for_update().get(pk=source_id)
    newest = version_newest(source, address)
    told = {
        "etag": answer.headers.get("etag", "")[:300],
        "last_modified": answer.headers.get("last-modified", "")[:100],
    }
    if newest is not None and (answer.status == 304 or digest_of(answer.body) == newest.digest):
        if answer.status != 304:
            newest.etag, newest.last_modified = told["etag"], told["last_modified"]
        newest.fetched_at, was_gone, newest.gone_at = timezone.now(), newest.gone_at, None
        newest.save()
        if was_gone:
            flags_write(source)
        return "same"
    document_add(
        source=source,
        key=address,
        data=answer.body,
        url=answer.url[:2000],
        title=address.split("://", 1)[-1],
        content_type=answer.headers.get("content-type", "")[:100],
        **told,
    )
    return "changed" if newest is not None else "new"


def page_missed(source_id: uuid.UUID, address: str, error: NotVisited) -> str:
    """Note a page that brought nothing: "gone" or "missed". What was read of it before stays, unless it is gone."""
    source = Source.objects.select_for_update().get(pk=source_id)
    newest = version_newest(source, address)
    if newest is None:
        newest = Document(
            source=source, key=address, url=address, title=address.split("://", 1)[-1][:300]
        )
        newest.save(force_insert=True)
    newest.fetched_at = timezone.now()
    if newest.state == Document.State.READY:
        newest.gone_at = timezone.now() if error.gone else newest.gone_at
        newest.save(update_fields=["fetched_at", "gone_at", "updated_at"])
    else:
        newest.save(update_fields=["fetched_at", "updated_at"])
        document_fail(newest, error.text, error.values)
    return "gone" if error.gone else "missed"


def _summary(visit: _Visit) -> tuple[str, dict[str, Any]]:
    """What went wrong, for the source: the reason, or how many pages and the first reason."""
    if not visit.problems:
        return "", {}
    first = visit.problems[0]
    if len(visit.problems) == 1 and not visit.counts:
        return first.text, first.values
    return (
        gettext_noop("%(count)s pages could not be visited. The first: %(reason)s"),
        {"count": len(visit.problems), "reason": str(first)},
    )


# --- reading -----------------------------------------------------------------------------------


def _pending(source: Source) -> list[Document]:
    states = (Document.State.WAITING, Document.State.READING)
    return list(source.documents.filter(state__in=states).order_by("pk"))


def _read(context: JobContext, source: Source) -> Counter[str]:
    counts: Counter[str] = Counter()
    start = _HALF if source.kind in WEB else 0.0
    while True:
        with context.scope():
            waiting = len(_pending(source))
            document = _claim(source)
        if document is None:
            return counts
        done = counts.total() / (counts.total() + waiting)
        context.progress(
            start + (1 - start) * done, phase=gettext_noop("read"), message=document.title
        )
        counts[_read_one(context, document)] += 1


def _claim(source: Source) -> Document | None:
    document = (
        source.documents.select_for_update(skip_locked=True)
        .filter(state=Document.State.WAITING)
        .order_by("pk")
        .first()
    )
    if document is not None:
        document.state = Document.State.READING
        document.save(update_fields=["state", "updated_at"])
    return document


def _read_one(context: JobContext, document: Document) -> str:
    """Read one document in a process of its own; what is wrong with it is its own matter."""
    try:
        reading = file_read(
            document_file(document),
            name=document.key if not document.url else "",
            content_type=document.content_type,
            check=context.check,
        )
        chunks = passages_of(reading.blocks)
    except Unreadable as error:
        with context.scope():
            fresh = Document.objects.select_for_update().filter(pk=document.pk).first()
            if fresh is not None and fresh.state == Document.State.READING:
                document_fail(fresh, error.text, error.values)
        return "failed"
    with context.scope():
        return document_finish(document.pk, reading, chunks) or "passed over"
