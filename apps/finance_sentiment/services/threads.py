"""Stories that tell of one event become one thread, across sources and languages.

A new story waits as a row without a thread. A batch of them is read outside any transaction (one call for vectors) and
placed under the organisation's lock, one after the other in order of time, each against the threads of the stories
nearest in meaning.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.db import connection
from django.utils import timezone

from apps.finance_sentiment.inference import InferenceUnavailable, ModelUnusable
from apps.finance_sentiment.inference.threading import (
    WINDOW,
    Report,
    entity_key,
    meanings,
    place_report,
    read_report,
    report_text,
)
from apps.finance_sentiment.models import Thread, ThreadStory
from apps.finance_sentiment.models.threads import DIMENSIONS, vector_text
from apps.finance_sentiment.selectors.threads import (
    NEAREST,
    NearStory,
    WaitingStory,
    stories_near,
    stories_waiting,
)
from rootstock.common.ids import uuid7
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.scope import current_organisation_id, organisation_scope

logger = logging.getLogger(__name__)

TOPIC = "finance.thread"
BATCH = 64
RETRY = timedelta(seconds=5)
# Stories this alike in meaning, and no less, may be one event; fewer words are shared by chance.
CANDIDATE_COSINE = 0.25
# So long after it came a story takes no newcomers, and its vector is dropped.
KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Stories with their vectors, (stories, DIMENSIONS); or when to try again."""

    stories: list[WaitingStory] = field(default_factory=list)
    vectors: npt.NDArray[np.float32] | None = None
    retry_at: datetime | None = None


@dataclass(slots=True)
class _Open:
    """A thread that exists or is being made, as far as placing needs it."""

    reports: list[Report] = field(default_factory=list)
    is_new: bool = False
    # a person has had a hand in it: it is not merged with another by the model
    is_fixed: bool = False


def threading_request(*, at: datetime | None = None) -> None:
    """Ask a worker to place the stories that wait; requests that nobody has taken yet are one."""
    organisation_id = str(current_organisation_id())
    outbox_write(
        topic=TOPIC,
        payload={"organisation_id": organisation_id},
        coalesce_key=f"{TOPIC}{'.again' if at else ''}:{organisation_id}",
        available_at=at,
        queue="ingest",
    )


def stories_await(*, stories: Iterable[tuple[uuid.UUID, datetime]]) -> None:
    """Let new stories, each with when it was first seen, wait for their thread. The caller requests it, late."""
    ThreadStory.objects.bulk_create(
        ThreadStory(story_id=story, first_seen_at=moment) for story, moment in stories
    )


def threads_read(*, organisation_id: uuid.UUID | str) -> ReadBatch:
    """The next waiting stories with their vectors. Call outside a transaction."""
    with organisation_scope(organisation_id):
        waiting = stories_waiting(limit=BATCH)
    if not waiting:
        return ReadBatch()
    try:
        vectors = meanings([report_text(story.title, story.body) for story in waiting])
    except (InferenceUnavailable, ModelUnusable) as error:
        logger.warning("%d stories wait for their thread: %s", len(waiting), error)
        return ReadBatch(retry_at=timezone.now() + RETRY)
    return ReadBatch(waiting, vectors)


def threads_write(*, batch: ReadBatch) -> int:
    """Place the stories that still wait. Returns how many were placed."""
    if batch.retry_at is not None:
        threading_request(at=batch.retry_at)
    if not batch.stories or batch.vectors is None:
        return 0
    threads_lock()
    waiting = set(
        ThreadStory.objects.filter(
            story_id__in=[story.id for story in batch.stories], thread=None
        ).values_list("story_id", flat=True)
    )
    told = [
        (story, _report(story, vector))
        for story, vector in zip(batch.stories, batch.vectors, strict=True)
        if story.id in waiting
    ]
    if told:
        _place(told)
    vectors_forget(now=timezone.now())
    if len(batch.stories) == BATCH:
        threading_request()
    return len(told)


def threads_lock() -> None:
    """Hold the organisation's threads until the end of the transaction: where a story belongs depends on all others."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"finance.threads:{current_organisation_id()}"],
        )


def vectors_forget(*, now: datetime) -> int:
    """Drop the vectors that are too old to be compared; returns how many."""
    old = ThreadStory.objects.filter(created_at__lt=now - KEPT, vector__isnull=False)
    return old.update(vector=None)


def _report(story: WaitingStory | NearStory, vector: npt.NDArray[np.float32]) -> Report:
    return read_report(
        title=story.title,
        published_at=story.first_seen_at,
        vector=vector,
        # A story of several sources is no series of one of them.
        source=story.sources[0] if len(story.sources) == 1 else "",
        entities=map(entity_key, story.entities),
    )


class _Neighbours:
    """Which threads have a report near a newcomer in meaning: all vectors in one table, (reports, DIMENSIONS)."""

    def __init__(self, threads: Mapping[uuid.UUID, _Open], *, newcomers: int) -> None:
        self._keys = [key for key, each in threads.items() for _report in each.reports]
        known = [report for each in threads.values() for report in each.reports]
        self._vectors = np.zeros((len(known) + newcomers, DIMENSIONS), np.float32)
        self._times = np.zeros(len(known) + newcomers)
        for place, report in enumerate(known):
            self._set(place, report)

    def near(self, report: Report) -> set[uuid.UUID]:
        """The threads of the nearest reports in its time, `NEAREST` of them, that are of at least `CANDIDATE_COSINE`.

        Those that a newcomer of the same batch brought along are no nearer to this one for it.
        """
        count = len(self._keys)
        cosines = self._vectors[:count] @ report.vector
        apart = np.abs(self._times[:count] - report.published_at.timestamp())
        cosines[apart > WINDOW.total_seconds()] = -1.0
        nearest = np.argsort(-cosines, kind="stable")[:NEAREST]
        return {self._keys[place] for place in nearest if cosines[place] >= CANDIDATE_COSINE}

    def add(self, key: uuid.UUID, report: Report) -> None:
        """A report joins a thread."""
        self._set(len(self._keys), report)
        self._keys.append(key)

    def _set(self, place: int, report: Report) -> None:
        self._vectors[place] = report.vector
        self._times[place] = report.published_at.timestamp()

    def join(self, key: uuid.UUID, gone: uuid.UUID) -> None:
        """The reports of one thread are another's from now on."""
        self._keys = [key if each == gone else each for each in self._keys]


def _place(told: Sequence[tuple[WaitingStory, Report]]) -> None:
    threads = _candidates([report for _story, report in told])
    neighbours = _Neighbours(threads, newcomers=len(told))
    placed: dict[uuid.UUID, tuple[uuid.UUID, float | None]] = {}
    merged: dict[uuid.UUID, uuid.UUID] = {}
    for story, report in sorted(told, key=lambda pair: (pair[0].first_seen_at, pair[0].id)):
        near = neighbours.near(report)
        found = place_report(
            report, {key: each.reports for key, each in threads.items() if key in near}
        )
        key = found.thread or uuid7()
        thread = threads.setdefault(key, _Open(is_new=found.thread is None))
        thread.reports.append(report)
        neighbours.add(key, report)
        placed[story.id] = (key, found.probability if found.thread else None)
        for gone in found.merged:
            if thread.is_fixed or threads[gone].is_fixed:
                continue
            thread.reports += threads.pop(gone).reports
            neighbours.join(key, gone)
            merged[gone] = key
    _store(told, placed, merged, {key for key, each in threads.items() if each.is_new})


def _candidates(reports: Sequence[Report]) -> dict[uuid.UUID, _Open]:
    """The stored threads that any of the reports may belong to."""
    threads: dict[uuid.UUID, _Open] = {}
    for story in stories_near(reports=reports, within=WINDOW, cosine=CANDIDATE_COSINE):
        thread = threads.setdefault(story.thread_id, _Open())
        thread.reports.append(_report(story, story.vector))
        thread.is_fixed |= story.by_person
    return threads


def _store(
    told: Sequence[tuple[WaitingStory, Report]],
    placed: dict[uuid.UUID, tuple[uuid.UUID, float | None]],
    merged: dict[uuid.UUID, uuid.UUID],
    new: set[uuid.UUID],
) -> None:
    """Write where the stories belong; a thread that was merged may itself have been merged since."""

    def final(key: uuid.UUID) -> uuid.UUID:
        while key in merged:
            key = merged[key]
        return key

    Thread.objects.bulk_create(
        Thread(
            id=key,
            title=story.title,
            first_seen_at=story.first_seen_at,
            last_seen_at=story.first_seen_at,
        )
        for story, _report in told
        if (key := placed[story.id][0]) in new and placed[story.id][1] is None
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE finance_sentiment_threadstory place
            SET thread_id = found.thread_id, probability = found.probability,
                vector = found.vector::halfvec, updated_at = now()
            FROM unnest(%s::uuid[], %s::uuid[], %s::float8[], %s::text[])
                AS found (story_id, thread_id, probability, vector)
            WHERE place.story_id = found.story_id
            """,
            [
                [story.id for story, _report in told],
                [final(placed[story.id][0]) for story, _report in told],
                [placed[story.id][1] for story, _report in told],
                [vector_text(report.vector) for _story, report in told],
            ],
        )
    for gone in merged:
        threads_join(thread_id=final(gone), other_id=gone)
    threads_refresh(thread_ids=[final(key) for key, _probability in placed.values()])


def threads_join(*, thread_id: uuid.UUID, other_id: uuid.UUID) -> None:
    """Move the stories of one thread into another; the empty one is removed. The caller refreshes."""
    ThreadStory.objects.filter(thread_id=other_id).update(thread_id=thread_id)
    Thread.objects.filter(pk=other_id).delete()


def threads_refresh(*, thread_ids: Iterable[uuid.UUID | None]) -> None:
    """Recompute threads from their stories and documents; threads without any are removed."""
    wanted = list({thread_id for thread_id in thread_ids if thread_id is not None})
    if not wanted:
        return
    with connection.cursor() as cursor:
        cursor.execute(_REFRESH, {"threads": wanted})
        cursor.execute(
            """
            DELETE FROM finance_sentiment_thread thread
            WHERE thread.id = ANY(%s::uuid[]) AND NOT EXISTS (
                SELECT FROM finance_sentiment_threadstory place WHERE place.thread_id = thread.id
            )
            """,
            [wanted],
        )


# A source that is believed by half is the default of `Source.credibility`. Nobody is believed wholly: one source that
# is always right would make all others worth nothing.
_REFRESH = """
    WITH placed AS (
        SELECT place.thread_id, story.*
        FROM finance_sentiment_threadstory place
        JOIN finance_sentiment_story story ON story.id = place.story_id
        WHERE place.thread_id = ANY(%(threads)s::uuid[])
    ),
    figures AS (
        SELECT thread_id, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at,
               count(*) AS story_count, sum(document_count) AS document_count,
               count(*) FILTER (WHERE sentiment = 'negative') AS negative_count,
               count(*) FILTER (WHERE sentiment = 'positive') AS positive_count
        FROM placed GROUP BY thread_id
    ),
    leads AS (
        SELECT DISTINCT ON (thread_id) thread_id, title, topics
        FROM placed ORDER BY thread_id, first_seen_at, id
    ),
    heard AS (
        SELECT placed.thread_id, document.source,
               max(coalesce(source.credibility, 0.5)) AS credibility
        FROM placed
        JOIN finance_sentiment_document document ON document.story_id = placed.id
        LEFT JOIN finance_sentiment_source source ON source.id = document.source_ref_id
        GROUP BY 1, 2
    ),
    corroborated AS (
        SELECT thread_id, array_agg(source ORDER BY source) AS sources, count(*) AS source_count,
               1 - exp(sum(ln(1 - least(credibility, 0.99)))) AS corroboration
        FROM heard GROUP BY thread_id
    ),
    spoken AS (
        SELECT placed.thread_id,
               array_agg(DISTINCT document.language_detected ORDER BY document.language_detected)
                   AS languages
        FROM placed
        JOIN finance_sentiment_document document ON document.story_id = placed.id
        WHERE document.language_detected <> ''
        GROUP BY 1
    )
    UPDATE finance_sentiment_thread thread
    SET title = leads.title, topics = leads.topics,
        first_seen_at = figures.first_seen_at, last_seen_at = figures.last_seen_at,
        story_count = figures.story_count, document_count = figures.document_count,
        negative_count = figures.negative_count, positive_count = figures.positive_count,
        sources = coalesce(corroborated.sources, '{}'),
        source_count = coalesce(corroborated.source_count, 0),
        corroboration = coalesce(corroborated.corroboration, 0),
        languages = coalesce(spoken.languages, '{}'),
        updated_at = now()
    FROM figures
    JOIN leads USING (thread_id)
    LEFT JOIN corroborated USING (thread_id)
    LEFT JOIN spoken USING (thread_id)
    WHERE thread.id = figures.thread_id
"""
