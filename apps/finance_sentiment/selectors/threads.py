"""Threads and what is in them; which stories a newcomer may belong with; versions of a document."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.db import connection
from django.db.models import QuerySet

from apps.finance_sentiment.inference.threading import Report
from apps.finance_sentiment.models import Document, DocumentVersion, Thread, ThreadStory
from apps.finance_sentiment.models.threads import vector_text

# Of each newcomer, so many nearest stories name the threads that it may join.
NEAREST = 24
# Of a thread, no more than the latest so many stories are compared.
COMPARED = 24


@dataclass(frozen=True, slots=True)
class ThreadQuery:
    """What threads are asked for; what is None does not matter."""

    since: datetime | None = None
    until: datetime | None = None
    source: str | None = None
    topic: str | None = None
    language: str | None = None
    least_sources: int | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingStory:
    """A story that has no thread yet, with the text of its first document."""

    id: uuid.UUID
    title: str
    body: str
    first_seen_at: datetime
    sources: list[str]
    # names of the entities that are linked in titles
    entities: list[str]


@dataclass(frozen=True, slots=True)
class NearStory:
    """A story of a thread that a newcomer may belong to."""

    thread_id: uuid.UUID
    title: str
    first_seen_at: datetime
    sources: list[str]
    entities: list[str]
    vector: npt.NDArray[np.float32]
    by_person: bool


def threads_find(query: ThreadQuery) -> QuerySet[Thread]:
    """The threads that fit, the last told first; `until` is excluded from the range."""
    found = Thread.objects.all()
    if query.since is not None:
        found = found.filter(last_seen_at__gte=query.since)
    if query.until is not None:
        found = found.filter(first_seen_at__lt=query.until)
    if query.source is not None:
        found = found.filter(sources__contains=[query.source])
    if query.topic is not None:
        found = found.filter(topics__contains=[query.topic])
    if query.language is not None:
        found = found.filter(languages__contains=[query.language])
    if query.least_sources is not None:
        found = found.filter(source_count__gte=query.least_sources)
    if query.q:
        found = found.filter(places__story__title__icontains=query.q).distinct()
    return found.order_by("-last_seen_at", "-id")


def thread_places(thread: Thread) -> QuerySet[ThreadStory]:
    """The stories of a thread as they came, each with its documents."""
    return (
        ThreadStory.objects.filter(thread=thread)
        .defer("vector")
        .select_related("story")
        .prefetch_related("story__documents")
        .order_by("first_seen_at", "id")
    )


def thread_documents(thread: Thread) -> QuerySet[Document]:
    """Every document of a thread, the first published first."""
    return (
        Document.objects.filter(story__place__thread=thread)
        .select_related("source_ref")
        .order_by("published_at", "id")
    )


def threads_of_stories(story_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """The thread of each of these stories that has one."""
    rows = ThreadStory.objects.filter(story_id__in=list(story_ids), thread__isnull=False)
    return {
        story_id: thread_id
        for story_id, thread_id in rows.values_list("story_id", "thread_id")
        if thread_id is not None
    }


def document_versions(document: Document) -> QuerySet[DocumentVersion]:
    """What the document said before, the latest first."""
    return DocumentVersion.objects.filter(document=document).order_by("-revision")


# Of a story, who is spoken of in the titles of its documents.
_ENTITIES = """
    ARRAY(
        SELECT DISTINCT entity.name
        FROM finance_sentiment_document document
        JOIN finance_sentiment_mention mention ON mention.document_id = document.id
        JOIN finance_sentiment_entity entity ON entity.id = mention.entity_id
        WHERE document.story_id = story.id AND mention.state = 'linked'
          AND mention.start < char_length(document.title)
    )
"""


def stories_waiting(*, limit: int) -> list[WaitingStory]:
    """The next stories without a thread, in the order in which they came."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT place.story_id, story.title, lead.body, place.first_seen_at, story.sources,
                   {_ENTITIES}
            FROM (
                SELECT id, story_id, first_seen_at FROM finance_sentiment_threadstory
                WHERE thread_id IS NULL ORDER BY id LIMIT %s
            ) place
            JOIN finance_sentiment_story story ON story.id = place.story_id
            CROSS JOIN LATERAL (
                SELECT left(document.body, 2000) AS body
                FROM finance_sentiment_document document
                WHERE document.story_id = story.id
                ORDER BY document.published_at, document.id LIMIT 1
            ) lead
            ORDER BY place.id
            """,  # noqa: S608 - only constants
            [limit],
        )
        return [WaitingStory(*row) for row in cursor.fetchall()]


def _vector(sent: bytes) -> npt.NDArray[np.float32]:
    """(DIMENSIONS,) of what pgvector sends: two numbers of 16 bits in front, then halves, the high byte first."""
    return np.frombuffer(sent, ">f2", offset=4).astype(np.float32)


def stories_near(*, reports: Sequence[Report], within: timedelta, cosine: float) -> list[NearStory]:
    """The stories of every thread that has one near any of the reports in meaning and time.

    The index of vectors is walked until `NEAREST` stories lie in the window (pgvector's iterative scan).
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true)")
        cursor.execute(
            f"""
            -- Materialised, or a vector is read from its text again for every row that it is compared with.
            WITH told AS MATERIALIZED (
                SELECT vector::halfvec AS vector, at
                FROM unnest(%(vectors)s::text[], %(times)s::timestamptz[]) AS told (vector, at)
            ),
            candidates AS (
                SELECT DISTINCT near.thread_id
                FROM told CROSS JOIN LATERAL (
                    SELECT place.thread_id, -(place.vector <#> told.vector) AS cosine
                    FROM finance_sentiment_threadstory place
                    WHERE place.thread_id IS NOT NULL
                      AND place.first_seen_at BETWEEN told.at - make_interval(secs => %(within)s)
                                                  AND told.at + make_interval(secs => %(within)s)
                    ORDER BY place.vector <#> told.vector LIMIT %(nearest)s
                ) near
                WHERE near.cosine >= %(cosine)s
            )
            SELECT candidates.thread_id, story.title, story.first_seen_at, story.sources,
                   {_ENTITIES}, halfvec_send(member.vector), member.placed_by = 'person'
            FROM candidates
            CROSS JOIN LATERAL (
                SELECT story_id, vector, placed_by FROM finance_sentiment_threadstory place
                WHERE place.thread_id = candidates.thread_id AND place.vector IS NOT NULL
                ORDER BY place.first_seen_at DESC LIMIT %(compared)s
            ) member
            JOIN finance_sentiment_story story ON story.id = member.story_id
            """,  # noqa: S608 - only constants
            {
                "vectors": [vector_text(report.vector) for report in reports],
                "times": [report.published_at for report in reports],
                "within": within.total_seconds(),
                "cosine": cosine,
                "nearest": NEAREST,
                "compared": COMPARED,
            },
        )
        return [
            NearStory(thread, title, seen, sources, entities, _vector(vector), by_person)
            for thread, title, seen, sources, entities, vector, by_person in cursor.fetchall()
        ]
