"""Sources of knowledge: given, changed, visited again, taken away."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.customer_service.models import PUBLIC_AUDIENCE, Document, Source
from apps.customer_service.services.documents import (
    digest_of,
    document_add,
    document_retry,
    version_newest,
)
from apps.customer_service.services.passage_items import audiences_write, flags_write
from apps.customer_service.services.reading.document import MAX_BYTES
from apps.customer_service.services.reading.kinds import ENDINGS
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM, Actor
from rootstock.common.http import AddressRefused, check_url
from rootstock.common.problems import Problem, invalid
from rootstock.jobs.models import TERMINAL, Job
from rootstock.jobs.services import job_cancel, job_create

SYNC_JOB = "service.sync"
QUEUE = "default"
MOST_SOURCES = 5_000
MOST_PAGES = 2_000
LEAST_SYNC_SECONDS = 3600
MOST_AUDIENCES = 20
# Visits of many sources that were given at once are spread by this share of their interval.
JITTER = 0.1
_AUDIENCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
INTERRUPTED = gettext_noop("Reading was interrupted. Try it again.")
WEB = (Source.Kind.URL, Source.Kind.SITEMAP)


def file_add(
    *, name: str, data: bytes, actor: Actor, content_type: str = "", **options: Any
) -> Document:
    """Take a file. One of the same name as a source becomes its next version; the same bytes again change nothing.

    `options`: title, audiences, expires_at, of a new source.

    Raises:
        Problem: 413 when it is too large, 422 when its kind is not read or an option cannot be.
    """
    name = PurePosixPath(name.replace("\\", "/")).name.replace("\x00", "").strip()[:300]
    if len(data) > MAX_BYTES:
        raise Problem(
            413, "too-large", _("A file has at most %(most)s MB.") % {"most": MAX_BYTES // 2**20}
        )
    if PurePosixPath(name.lower()).suffix not in ENDINGS:
        raise invalid(
            "/file",
            _(
                "“%(name)s” is of a kind that is not read. Use PDF, DOCX, Markdown, HTML, TXT, or CSV and XLSX with "
                "questions and answers."
            )
            % {"name": name[:120]},
        )
    known = (
        Source.objects.select_for_update()
        .filter(kind=Source.Kind.FILE, removed_at=None, documents__key=name)
        .order_by("pk")
        .first()
    )
    source = known or _create(Source.Kind.FILE, {"title": name, **options}, actor)
    return version_add(source=source, key=name, data=data, content_type=content_type, actor=actor)


def text_add(*, title: str, text: str, actor: Actor, **options: Any) -> Document:
    """Take a text in Markdown that was written here.

    Raises:
        Problem: 422, there is no text.
    """
    data = text.replace("\x00", "").encode("utf-8", "ignore")
    if not data.strip():
        raise invalid("/text", _("Write a text."))
    source = _create(Source.Kind.TEXT, {"title": title, **options}, actor)
    return version_add(source=source, key=source.title, data=data, actor=actor)


def version_add(
    *, source: Source, data: bytes, actor: Actor, key: str = "", content_type: str = ""
) -> Document:
    """A new version of a file or a text. The same bytes as the newest one's are that one.

    Raises:
        Problem: 413 when it is too large; 409 for a page, whose versions come from visits.
    """
    if source.kind in WEB:
        raise Problem(409, "web-source", _("Its versions come from visits."))
    if len(data) > MAX_BYTES:
        raise Problem(
            413, "too-large", _("A file has at most %(most)s MB.") % {"most": MAX_BYTES // 2**20}
        )
    source = Source.objects.select_for_update().get(pk=source.pk)
    first = source.documents.order_by("pk").first()
    key = first.key if first is not None else key or source.title
    newest = version_newest(source, key)
    if newest is not None and newest.digest == digest_of(data):
        if newest.state == Document.State.FAILED:
            document_retry(document=newest)
            sync_request(source, actor)
        return newest
    if source.kind == Source.Kind.TEXT:
        content_type = "text/markdown"
    document = document_add(
        source=source, key=key, data=data, title=source.title, content_type=content_type[:100]
    )
    audit_record(
        actor=actor,
        action="service.document.add",
        target=str(document)[:200],
        target_id=str(document.pk),
    )
    sync_request(source, actor)
    return document


def web_add(*, kind: str, url: str, actor: Actor, **options: Any) -> Source:
    """Take a page (kind "url") or a site ("sitemap") by its address; it is visited at once.

    Raises:
        Problem: 422, the address cannot be visited, or an option cannot be.
    """
    source = _create(Source.Kind(kind), {"url": url.strip(), **options}, actor)
    sync_request(source, actor)
    return source


def source_update(*, source: Source, values: Mapping[str, Any], actor: Actor) -> Source:
    """Change title, audiences, expires_at, sync_seconds or page_limit. Audiences and expiry hold at once.

    Raises:
        Problem: 422, a value cannot be.
    """
    source = Source.objects.select_for_update().get(pk=source.pk)
    before = {name: getattr(source, name) for name in values}
    for name, value in values.items():
        setattr(source, name, value)
    _check(source)
    if "sync_seconds" in values:
        source.next_sync_at = next_sync(source)
    source.expired = source.expires_at is not None and source.expires_at <= timezone.now()
    source.save()
    if "audiences" in values and set(before["audiences"]) != set(source.audiences):
        audiences_write(source, before["audiences"])
    if "expires_at" in values:
        flags_write(source)
    changes = {
        name: [str(before[name]), str(value)]
        for name, value in values.items()
        if before[name] != value
    }
    _record(actor, "update", source, changes)
    return source


def source_remove(*, source: Source, actor: Actor) -> None:
    """Take a source out, of the draft and of what visitors are answered from, at once. It can be restored."""
    source = Source.objects.select_for_update().get(pk=source.pk)
    if source.removed_at is not None:
        return
    for job in unfinished_jobs(source):
        job_cancel(job.pk)
    source.removed_at, source.next_sync_at = timezone.now(), None
    source.save()
    flags_write(source)
    _record(actor, "remove", source, {})


def source_restore(*, source: Source, actor: Actor) -> None:
    """Bring a removed source back: into the draft, and what the present release holds of it to visitors."""
    source = Source.objects.select_for_update().get(pk=source.pk)
    source.removed_at = None
    source.next_sync_at = next_sync(source)
    source.save()
    flags_write(source)
    _record(actor, "restore", source, {})


def sync_request(source: Source, actor: Actor) -> Job:
    """Have a source visited and what waits of it read. One that is queued already is enough."""
    queued = Job.objects.filter(
        kind=SYNC_JOB, state=Job.State.QUEUED, params__source=str(source.pk)
    ).first()
    return queued or job_create(
        SYNC_JOB,
        title=_("Read “%(title)s”") % {"title": source.title[:150]},
        params={"source": str(source.pk), "since": timezone.now().isoformat()},
        actor=actor,
        queue=QUEUE,
    )


def unfinished_jobs(source: Source) -> list[Job]:
    """Jobs that read this source or wait to."""
    jobs = Job.objects.filter(kind=SYNC_JOB, params__source=str(source.pk))
    return list(jobs.exclude(state__in=TERMINAL).order_by("pk"))


def sources_tick() -> None:
    """Have visited what is due, take out what has expired, and give up what no job reads any more."""
    now = timezone.now()
    due = Source.objects.select_for_update(skip_locked=True).filter(
        next_sync_at__lte=now, removed_at=None
    )
    for source in due.order_by("next_sync_at")[:50]:
        source.next_sync_at = next_sync(source)
        source.save(update_fields=["next_sync_at", "updated_at"])
        if not unfinished_jobs(source):
            sync_request(source, SYSTEM)
    late = Source.objects.select_for_update(skip_locked=True).filter(
        expires_at__lte=now, expired=False
    )
    for source in late[:200]:
        source.expired = True
        source.save(update_fields=["expired", "updated_at"])
        flags_write(source)
    _lost_requeue()


def _lost_requeue() -> None:
    """Documents that wait though no job of their source is under way: one was cancelled or given up."""
    waiting = (Document.State.WAITING, Document.State.READING)
    old = timezone.now() - timedelta(minutes=5)
    lost = Document.objects.filter(state__in=waiting, updated_at__lt=old).select_related("source")
    for document in lost[:200]:
        if not unfinished_jobs(document.source):
            document.state = Document.State.FAILED
            document.problem = INTERRUPTED
            document.save(update_fields=["state", "problem", "updated_at"])


def next_sync(source: Source) -> Any:
    """When it is visited next; None for never."""
    if not source.sync_seconds or source.kind not in WEB or source.removed_at is not None:
        return None
    spread = random.uniform(1 - JITTER, 1 + JITTER)
    return timezone.now() + timedelta(seconds=source.sync_seconds * spread)


def _create(kind: Source.Kind, values: Mapping[str, Any], actor: Actor) -> Source:
    if Source.objects.filter(removed_at=None).count() >= MOST_SOURCES:
        raise Problem(
            409,
            "too-many-sources",
            _("There are at most %(most)s sources.") % {"most": MOST_SOURCES},
        )
    source = Source(kind=kind, created_by=actor.label[:200], **values)
    _check(source)
    source.next_sync_at = next_sync(source)
    source.save(force_insert=True)
    _record(actor, "create", source, {"url": source.url} if source.url else {})
    return source


def _check(source: Source) -> None:
    """Raises:
    Problem: 422 that names the value at fault.
    """
    if source.kind in WEB:
        try:
            source.url = str(check_url(source.url))
        except AddressRefused as error:
            raise invalid(
                "/url", _("This address cannot be visited: %(reason)s.") % {"reason": error}
            ) from error
        source.title = source.title or source.url.split("://", 1)[1].rstrip("/")
    source.title = " ".join(source.title.replace("\x00", "").split())[:300]
    if not source.title:
        raise invalid("/title", _("A source needs a title."))
    source.audiences = audiences_checked(source.audiences)
    if source.sync_seconds and source.sync_seconds < LEAST_SYNC_SECONDS:
        raise invalid("/sync_seconds", _("A source is visited once an hour at most."))
    if not 1 <= source.page_limit <= MOST_PAGES:
        raise invalid("/page_limit", _("A site has 1 to %(most)s pages.") % {"most": MOST_PAGES})


def audiences_checked(given: Sequence[str]) -> list[str]:
    """Names of audiences as they are kept; everybody when none is given.

    Raises:
        Problem: 422, one cannot be a name.
    """
    audiences = sorted({each.strip().lower() for each in given if each.strip()}) or [
        PUBLIC_AUDIENCE
    ]
    if len(audiences) > MOST_AUDIENCES or not all(map(_AUDIENCE.fullmatch, audiences)):
        raise invalid(
            "/audiences", _("Audiences are at most 20 names of small letters, digits and hyphens.")
        )
    return audiences


def _record(actor: Actor, verb: str, source: Source, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"service.source.{verb}",
        target=source.title[:200],
        target_id=str(source.pk),
        changes=changes,
    )
