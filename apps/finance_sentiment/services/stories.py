"""Which documents tell the same story."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from apps.finance_sentiment.inference import Reading, estimated_jaccard, near_duplicate
from apps.finance_sentiment.models import ThreadStory
from apps.finance_sentiment.services.threads import (
    stories_await,
    threading_request,
    threads_lock,
    threads_refresh,
)
from rootstock.common.ids import uuid7
from rootstock.tenancy.scope import current_organisation_id

# The same words after three days are a new story: "Shares close higher" is one every day.
STORY_WINDOW = timedelta(hours=72)
# An estimate this far below the threshold of near duplicates is not worth the exact comparison:
# more than two standard errors of a signature of 64.
_WORTH_A_LOOK = 0.4


@dataclass(frozen=True, slots=True)
class Telling:
    """A document that needs a story."""

    document_id: uuid.UUID
    title: str
    published_at: datetime
    reading: Reading


@dataclass(slots=True)
class _Candidate:
    """A story that exists or is being made, as far as matching needs it."""

    id: uuid.UUID
    title: str
    first_seen_at: datetime
    last_seen_at: datetime
    signature: bytes

    def is_near(self, moment: datetime) -> bool:
        return self.first_seen_at - STORY_WINDOW <= moment <= self.last_seen_at + STORY_WINDOW

    def extend(self, moment: datetime) -> None:
        self.first_seen_at = min(self.first_seen_at, moment)
        self.last_seen_at = max(self.last_seen_at, moment)


@dataclass(slots=True)
class _Index:
    """The stories that a batch may belong to."""

    stories: dict[uuid.UUID, _Candidate] = field(default_factory=dict)
    by_hash: dict[bytes, list[_Candidate]] = field(default_factory=lambda: defaultdict(list))
    by_band: dict[int, list[_Candidate]] = field(default_factory=lambda: defaultdict(list))

    def find(self, telling: Telling) -> _Candidate | None:
        for story in self.by_hash.get(telling.reading.content_hash, ()):
            if story.is_near(telling.published_at):
                return story
        candidates = {
            story.id: story
            for band in telling.reading.bands
            for story in self.by_band.get(band, ())
            if story.is_near(telling.published_at)
        }
        ranked = sorted(
            (
                (estimated_jaccard(telling.reading.signature, story.signature), story.id)
                for story in candidates.values()
            ),
            reverse=True,
        )
        for similarity, story_id in ranked:
            if similarity < _WORTH_A_LOOK:
                break
            story = candidates[story_id]
            if story.title == telling.title or near_duplicate(story.title, telling.title):
                return story
        return None


def stories_lock() -> None:
    """Hold the organisation's stories and buckets until the end of the transaction.

    What a document is a duplicate of depends on every other document, so one batch of an
    organisation is written after the other; reading and inference run beside each other.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"finance.stories:{current_organisation_id()}"],
        )


def stories_assign(*, tellings: Sequence[Telling]) -> dict[uuid.UUID, uuid.UUID]:
    """The story of each document, made where there is none yet. The caller holds the lock.

    New stories carry no figures until `stories_refresh`.
    """
    index = _candidates(tellings)
    assigned: dict[uuid.UUID, uuid.UUID] = {}
    created: list[tuple[_Candidate, list[int]]] = []
    for telling in sorted(tellings, key=lambda telling: telling.published_at):
        story = index.find(telling)
        if story is None:
            story = _Candidate(
                id=uuid7(),
                title=telling.title,
                first_seen_at=telling.published_at,
                last_seen_at=telling.published_at,
                signature=telling.reading.signature,
            )
            created.append((story, telling.reading.bands))
            for band in telling.reading.bands:
                index.by_band[band].append(story)
        story.extend(telling.published_at)
        index.by_hash[telling.reading.content_hash].append(story)
        assigned[telling.document_id] = story.id
    _stories_insert(created)
    stories_await(stories=[(story.id, story.first_seen_at) for story, _bands in created])
    return assigned


def stories_refresh(*, story_ids: Iterable[uuid.UUID]) -> list[datetime]:
    """Recompute stories from their documents, and their threads; stories without any are removed, those that wait for a
    thread get it soon after.

    Returns the moments whose buckets counted a story before or count one now.
    """
    wanted = list(set(story_ids))
    threads = set(
        ThreadStory.objects.filter(story_id__in=wanted).values_list("thread_id", flat=True)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT first_seen_at FROM finance_sentiment_story WHERE id = ANY(%s::uuid[])",
            [wanted],
        )
        moments = [row[0] for row in cursor.fetchall()]
        cursor.execute(_REFRESH, {"stories": wanted})
        moments += [row[0] for row in cursor.fetchall()]
        cursor.execute(_REMOVE_EMPTY, [wanted])
    if threads - {None}:
        threads_lock()
        threads_refresh(thread_ids=threads)
    if None in threads:
        # After the lock: whoever holds that may be about to write the same request, and wait for ours.
        threading_request()
    return moments


def _stories_insert(created: Sequence[tuple[_Candidate, list[int]]]) -> None:
    """New stories with their bands: sixteen rows a story, too many for objects."""
    if not created:
        return
    stories = [story for story, _bands in created]
    bands = [(band, story.id) for story, bands in created for band in dict.fromkeys(bands)]
    organisation = current_organisation_id()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO finance_sentiment_story (
                id, organisation_id, created_at, updated_at, title, first_seen_at, last_seen_at, signature,
                document_count, sources, sentiment, topics
            )
            SELECT id, %s, now(), now(), title, first_seen_at, last_seen_at, signature, 0, '{}', '', '{}'
            FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::bytea[])
                AS told (id, title, first_seen_at, last_seen_at, signature)
            """,
            [
                organisation,
                [story.id for story in stories],
                [story.title for story in stories],
                [story.first_seen_at for story in stories],
                [story.last_seen_at for story in stories],
                [story.signature for story in stories],
            ],
        )
        cursor.execute(
            """
            INSERT INTO finance_sentiment_storyband (organisation_id, band, story_id)
            SELECT %s, band, story_id FROM unnest(%s::bigint[], %s::uuid[]) AS told (band, story_id)
            """,
            [
                organisation,
                [band for band, _story_id in bands],
                [story_id for _band, story_id in bands],
            ],
        )


# The lead is the first document that could be scored, else the first of all.
_REFRESH = """
    UPDATE finance_sentiment_story story
    SET first_seen_at = figures.first_seen_at,
        last_seen_at = figures.last_seen_at,
        document_count = figures.document_count,
        sources = figures.sources,
        title = lead.title,
        sentiment = lead.sentiment,
        topics = lead.topics,
        updated_at = now()
    FROM (
        SELECT story_id, min(published_at) AS first_seen_at, max(published_at) AS last_seen_at,
               count(*) AS document_count, array_agg(DISTINCT source) AS sources
        FROM finance_sentiment_document
        WHERE story_id = ANY(%(stories)s::uuid[])
        GROUP BY story_id
    ) figures
    JOIN (
        SELECT DISTINCT ON (story_id) story_id, title, topics,
               CASE WHEN status = 'scored' THEN sentiment ELSE '' END AS sentiment
        FROM finance_sentiment_document
        WHERE story_id = ANY(%(stories)s::uuid[])
        ORDER BY story_id, status <> 'scored', published_at, id
    ) lead USING (story_id)
    WHERE story.id = figures.story_id
    RETURNING story.first_seen_at
"""

_REMOVE_EMPTY = """
    WITH gone AS (
        DELETE FROM finance_sentiment_story story
        WHERE story.id = ANY(%s::uuid[]) AND NOT EXISTS (
            SELECT FROM finance_sentiment_document document WHERE document.story_id = story.id
        )
        RETURNING story.id
    ),
    unplaced AS (
        DELETE FROM finance_sentiment_threadstory place USING gone WHERE place.story_id = gone.id
    )
    DELETE FROM finance_sentiment_storyband band USING gone WHERE band.story_id = gone.id
"""


def _candidates(tellings: Sequence[Telling]) -> _Index:
    """The stored stories that share a text or a band with any of the documents."""
    index = _Index()
    if not tellings:
        return index
    earliest = min(telling.published_at for telling in tellings) - STORY_WINDOW
    latest = max(telling.published_at for telling in tellings) + STORY_WINDOW
    hashes = list({telling.reading.content_hash for telling in tellings})
    bands = list({band for telling in tellings for band in telling.reading.bands})
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT document.content_hash, story.id, story.title,
                   story.first_seen_at, story.last_seen_at, story.signature
            FROM finance_sentiment_document document
            JOIN finance_sentiment_story story ON story.id = document.story_id
            WHERE document.content_hash = ANY(%s::bytea[])
              AND story.last_seen_at >= %s AND story.first_seen_at <= %s
            """,
            [hashes, earliest, latest],
        )
        for key, *row in cursor.fetchall():
            index.by_hash[bytes(key)].append(_known(index, row))
        cursor.execute(
            """
            SELECT band.band, story.id, story.title,
                   story.first_seen_at, story.last_seen_at, story.signature
            FROM finance_sentiment_storyband band
            JOIN finance_sentiment_story story ON story.id = band.story_id
            WHERE band.band = ANY(%s::bigint[])
              AND story.last_seen_at >= %s AND story.first_seen_at <= %s
            """,
            [bands, earliest, latest],
        )
        for band, *row in cursor.fetchall():
            index.by_band[band].append(_known(index, row))
    return index


def _known(index: _Index, row: list[object]) -> _Candidate:
    story_id, title, first_seen_at, last_seen_at, signature = row
    assert isinstance(story_id, uuid.UUID)  # noqa: S101 - columns of the two queries above
    assert isinstance(first_seen_at, datetime)  # noqa: S101
    assert isinstance(last_seen_at, datetime)  # noqa: S101
    assert isinstance(signature, bytes | memoryview)  # noqa: S101
    return index.stories.setdefault(
        story_id,
        _Candidate(story_id, str(title), first_seen_at, last_seen_at, bytes(signature)),
    )
