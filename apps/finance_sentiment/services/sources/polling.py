"""Polling a source: ask its server outside any transaction, then store what came and how it went in one.

Whoever polls holds a lease: the poll is written only while it does, so that a worker that was away too long changes
nothing, and one that died is followed by another when the lease has run out.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
import uuid
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from django.db.models.functions import Now
from django.utils import timezone

from apps.finance_sentiment.models import Fault, Note, Source, SourceKind, SourcePolling
from apps.finance_sentiment.services.sources.feeds import Parsed, Unreadable, feed_parse
from apps.finance_sentiment.services.sources.pages import article_text, page_parse
from apps.finance_sentiment.services.sources.refusing import ARTICLE, Refusal
from apps.finance_sentiment.services.sources.taking import Seen, Taken, items_match, items_take
from apps.finance_sentiment.services.sources.visiting import (
    FEED_BYTES,
    PAGE_BYTES,
    Failed,
    Visit,
)
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

# From the claim on: waiting for a free poller, asking, storing.
LEASE = timedelta(seconds=150)
# Sources that are claimed at a time, over all organisations, and how many of them may be slow ones.
PLACES = 32
SLOW_PLACES = 12
SLOW_SECONDS = 5.0
# New items whose articles are read in one poll; the others wait for the next, soon.
MOST_ARTICLES = 20
SOON = timedelta(seconds=15)
LONGEST_BACK_OFF = timedelta(hours=6)
AFTER_GONE = timedelta(days=1)
POLLS_KEPT = 40
_FEEDS = "application/atom+xml,application/rss+xml,application/feed+json,application/xml,text/xml;q=0.9,*/*;q=0.5"
_PAGES = "text/html,application/xhtml+xml,*/*;q=0.5"


@dataclass(frozen=True, slots=True)
class Task:
    """A source that this worker holds the lease of, as it was when the poll began."""

    organisation_id: uuid.UUID
    token: uuid.UUID
    source: Source
    polling: SourcePolling
    zone: tzinfo


@dataclass(slots=True)
class Asked:
    """What the server said: items, the mark that nothing has changed, or a fault."""

    seconds: float = 0.0
    status: int | None = None
    fault: Fault | None = None
    detail: str = ""
    retry_at: datetime | None = None
    unchanged: bool = False
    moved_to: str = ""
    etag: str = ""
    last_modified: str = ""
    digest: bytes | None = None
    parsed: Parsed = field(default_factory=Parsed)


@dataclass(slots=True)
class Articles:
    """The texts of linked articles by external id, what could not be read, and what has to wait."""

    texts: dict[str, str] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)


def polls_claim(*, hand_on: Callable[[list[str]], bool]) -> int:
    """Lease the sources that are due and hand them on: organisation, source, token. Returns how many.

    One that cannot be handed on is due again at once.
    """
    handed = 0
    for row in call_lookup("finance_sources_claim", PLACES, SLOW_PLACES, LEASE):
        names = ("organisation_id", "source_id", "lease_token")
        if hand_on([str(row[name]) for name in names]):
            handed += 1
            continue
        with organisation_scope(row["organisation_id"]):
            SourcePolling.objects.filter(lease_token=row["lease_token"]).update(
                lease_token=None, leased_until=None
            )
    return handed


def source_poll(
    *, organisation_id: uuid.UUID | str, source_id: uuid.UUID | str, token: uuid.UUID | str
) -> bool:
    """Poll a source once; False when somebody else holds the lease by now.

    Whatever goes wrong is noted on the source.
    """
    task = _begin(uuid.UUID(str(organisation_id)), uuid.UUID(str(source_id)), uuid.UUID(str(token)))
    if task is None:
        return False
    begun = time.monotonic()
    try:
        visit = Visit()
        asked = _ask(task, visit)
        articles = _read_articles(task, asked, visit)
        asked.seconds = time.monotonic() - begun
        return _write(task, asked, articles)
    except Exception as error:
        logger.exception("the poll of source %s failed", source_id)
        asked = Asked(time.monotonic() - begun, fault=Fault.INTERNAL, detail=type(error).__name__)
        return _write(task, asked, Articles())


def _begin(organisation_id: uuid.UUID, source_id: uuid.UUID, token: uuid.UUID) -> Task | None:
    with organisation_scope(organisation_id):
        held = SourcePolling.objects.filter(source_id=source_id, lease_token=token)
        if not held.update(leased_until=Now() + LEASE):
            return None
        polling = held.select_related("source").get()
        zone = zoneinfo.ZoneInfo(Organisation.objects.get().time_zone)
    return Task(organisation_id, token, polling.source, polling, zone)


def _ask(task: Task, visit: Visit) -> Asked:
    """One conditional request, and its answer read."""
    source, polling = task.source, task.polling
    is_feed = source.kind == SourceKind.FEED
    try:
        if not is_feed and not visit.allowed(source.url):
            raise Failed(Fault.ROBOTS, source.url)
        page = visit.get(
            source.url,
            accept=_FEEDS if is_feed else _PAGES,
            most_bytes=FEED_BYTES if is_feed else PAGE_BYTES,
            etag=polling.etag,
            last_modified=polling.last_modified,
        )
    except Failed as error:
        return Asked(
            fault=error.fault, detail=str(error), status=error.status, retry_at=error.retry_at
        )
    asked = Asked(
        status=page.status,
        unchanged=page.is_unchanged,
        moved_to=page.moved_to,
        etag=page.headers.get("etag", polling.etag if page.is_unchanged else ""),
        last_modified=page.headers.get(
            "last-modified", polling.last_modified if page.is_unchanged else ""
        ),
        digest=hashlib.sha256(page.body).digest(),
    )
    if page.is_unchanged:
        asked.digest = None if polling.digest is None else bytes(polling.digest)
        return asked
    if polling.digest is not None and bytes(polling.digest) == asked.digest:
        asked.unchanged = True
        return asked
    content_type = page.headers.get("content-type", "")
    try:
        asked.parsed = (
            feed_parse(page.body, url=page.url, content_type=content_type)
            if is_feed
            else page_parse(
                page.body,
                url=page.url,
                content_type=content_type,
                kind=source.kind,
                selectors=source.selectors,
            )
        )
    except Unreadable as error:
        asked.fault, asked.detail = error.fault, str(error)
    return asked


def _read_articles(task: Task, asked: Asked, visit: Visit) -> Articles:
    """The articles that new items link to, as far as the time of the poll reaches."""
    articles = Articles()
    if not task.source.fetch_articles or not asked.parsed.items:
        return articles
    with organisation_scope(task.organisation_id):
        seen, _repeated = items_match(source=task.source, items=asked.parsed.items)
    for each in seen:
        if not _needs_article(each):
            continue
        tried = len(articles.texts) + len(articles.refusals)
        if tried >= MOST_ARTICLES or visit.seconds_left <= 0:
            articles.waiting.add(each.external_id)
            continue
        try:
            articles.texts[each.external_id] = _article(each.item.link, visit)
        except Failed as error:
            if visit.seconds_left <= 0:
                articles.waiting.add(each.external_id)
                continue
            reason = f"{error.fault.label}: {error}"
            payload = {"title": each.item.title, "url": each.item.link}
            articles.refusals.append(
                Refusal(each.external_id, payload, [{"field": ARTICLE, "detail": reason[:300]}])
            )
    return articles


def _needs_article(each: Seen) -> bool:
    if not each.item.link:
        return False
    return each.known is None or bytes(each.known.content_key) != each.identity.content_key


def _article(url: str, visit: Visit) -> str:
    """The text of an article.

    Raises:
        Failed: it cannot be read, or it has none.
    """
    if not visit.allowed(url):
        raise Failed(Fault.ROBOTS, url)
    page = visit.get(url, accept=_PAGES, most_bytes=PAGE_BYTES)
    text = article_text(page.body, url=page.url, content_type=page.headers.get("content-type", ""))
    if not text:
        raise Failed(Fault.MALFORMED, "no running text was found on the page")
    return text


def _write(task: Task, asked: Asked, articles: Articles) -> bool:
    """Store the items and how the poll went; False when the lease is lost."""
    now = timezone.now()
    with organisation_scope(task.organisation_id):
        polling = (
            SourcePolling.objects.select_for_update()
            .select_related("source")
            .filter(source_id=task.source.pk, lease_token=task.token)
            .first()
        )
        if polling is None:
            return False
        taken = _take(task, polling.source, asked, articles, now)
        if asked.fault is None and asked.moved_to:
            _move(polling.source, asked.moved_to)
        _note_outcome(polling, asked, taken, now, is_cut=bool(articles.waiting))
    return True


def _take(task: Task, source: Source, asked: Asked, articles: Articles, now: datetime) -> Taken:
    if asked.fault is not None or asked.unchanged:
        return Taken()
    seen, repeated = items_match(source=source, items=asked.parsed.items)
    is_feed = source.kind == SourceKind.FEED
    taken = items_take(
        source=source,
        seen=[each for each in seen if each.external_id not in articles.waiting],
        now=now,
        zone=UTC if is_feed else task.zone,
        spoken=not is_feed,
        articles=articles.texts,
        refusals=articles.refusals,
    )
    parsed = asked.parsed
    odd = {
        Note.REPEATED: repeated,
        Note.EMPTY: not parsed.items,
        Note.MORE: parsed.cut or bool(articles.waiting),
        Note.ARTICLES: bool(articles.refusals),
    }
    taken.notes = [*parsed.notes, *taken.notes, *(note for note, holds in odd.items() if holds)]
    return taken


def _move(source: Source, url: str) -> None:
    """A feed has moved for good: it is asked at its new address from now on."""
    source.moved_from, source.url = source.url, url
    source.save(update_fields=["moved_from", "url", "updated_at"])


def _note_outcome(
    polling: SourcePolling, asked: Asked, taken: Taken, now: datetime, *, is_cut: bool
) -> None:
    polling.lease_token = polling.leased_until = None
    polling.polled_at = now
    polling.status = asked.status
    polling.milliseconds = round(asked.seconds * 1000)
    polling.is_slow = asked.seconds > SLOW_SECONDS
    if asked.fault is not None:
        _note_fault(polling, asked, now)
    else:
        _note_success(polling, asked, taken, now, is_cut=is_cut)
    if not polling.source.enabled or polling.source.archived_at is not None:
        polling.next_at = None
    outcome = asked.fault or ("unchanged" if asked.unchanged else "read")
    polling.recent = [
        *polling.recent[1 - POLLS_KEPT :],
        {
            "at": now.isoformat(timespec="seconds"),
            "outcome": str(outcome),
            "items": len(asked.parsed.items),
            "new": taken.created,
            "ms": polling.milliseconds,
        },
    ]
    polling.save()


def _note_fault(polling: SourcePolling, asked: Asked, now: datetime) -> None:
    assert asked.fault is not None  # noqa: S101 - the caller has looked
    if polling.fault != asked.fault:
        polling.fault_since = now
    polling.failures += 1
    polling.fault = asked.fault
    polling.fault_detail = asked.detail[:300].replace("\x00", "")
    polling.notes = []
    polling.next_at = now + back_off(
        timedelta(seconds=polling.source.interval_seconds), polling.failures, asked.fault
    )
    if asked.retry_at is not None:
        polling.next_at = max(polling.next_at, asked.retry_at)


def _note_success(
    polling: SourcePolling, asked: Asked, taken: Taken, now: datetime, *, is_cut: bool
) -> None:
    polling.failures = 0
    polling.fault = polling.fault_detail = ""
    polling.fault_since = None
    polling.succeeded_at = now
    if taken.created:
        polling.new_at = now
    if not asked.unchanged:
        moved = [Note.MOVED] if asked.moved_to else []
        slow = [Note.SLOW] if polling.is_slow else []
        polling.notes = list(dict.fromkeys([*moved, *taken.notes, *slow]))
    if is_cut:  # what waits is still on the page: it must not be "unchanged" next time
        polling.etag, polling.last_modified, polling.digest = "", "", None
        polling.next_at = now + SOON
        return
    polling.etag, polling.last_modified = asked.etag[:500], asked.last_modified[:100]
    polling.digest = asked.digest
    polling.next_at = now + timedelta(
        seconds=polling.source.interval_seconds * random.uniform(0.9, 1.1)
    )


def back_off(interval: timedelta, failures: int, fault: Fault) -> timedelta:
    """How long to wait after so many failures in a row: the interval doubled each time, up to six hours, ± 20 % so
    that sources of one server that is down do not come back all at once. What is gone is asked for once a day."""
    longest = max(interval, AFTER_GONE if fault == Fault.GONE else LONGEST_BACK_OFF)
    wait = longest if fault == Fault.GONE else min(longest, interval * 2 ** min(failures, 16))
    return wait * random.uniform(0.8, 1.2)
