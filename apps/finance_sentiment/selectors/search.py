"""Finding documents by words, by meaning and by facets; every query reads a bounded number of rows.

The newest documents that fit are found by the index of terms (`finance_documents_having`); the best are chosen from
the newest that have all words, those that have some of them, and those whose story is nearest in meaning.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.db import connection
from django.db.models import Max, Min

from apps.finance_sentiment.inference.searching import (
    WEIGHT,
    Bm25,
    fuse,
    is_function_word,
    terms,
)
from apps.finance_sentiment.models import Document, Holding
from apps.finance_sentiment.models.desk import DocumentWords
from apps.finance_sentiment.models.threads import vector_text
from apps.finance_sentiment.selectors.words import facet_number, word_numbers

Vector = npt.NDArray[np.float32]

# Documents that are looked at one by one, the newest first, before the index is asked.
WALKED = 5_000
# The newest so many that fit are counted; beyond it is only said that there are more.
COUNTED = 500
# Candidates of each way for the best answers, and how many of those are ever shown.
CANDIDATES = 200
# With fewer that have all words, those that have some of them are looked at as well.
ENOUGH = 50
# Documents by which the rarity of a word is judged.
SAMPLE = 2_000
# Less alike in meaning, and without a word in common, is no answer.
LEAST_COSINE = 0.35
MOST_WORDS = 24
_BM25 = Bm25()
_DAY = timedelta(days=1)
_LAST_ID = uuid.UUID(int=(1 << 128) - 1)
FACETS = ("topic", "sentiment", "source", "entity", "language", "event")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is looked for; what is empty does not matter. All of it has to fit; `until` is excluded."""

    q: str = ""
    topic: str = ""
    sentiment: str = ""
    source: str = ""
    language: str = ""
    event: str = ""
    entity: uuid.UUID | None = None
    portfolio: uuid.UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found. `score`, from 0 to 1, orders the best answers; `words` are those of the query that it
    has, `cosine` how near its story is in meaning, None where nobody can say."""

    id: uuid.UUID
    at: datetime
    score: float = 0.0
    words: tuple[str, ...] = ()
    cosine: float | None = None


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a facet and how many of the counted documents have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What the newest documents that fit are: how many were counted, whether that is all, and the values."""

    counted: int = 0
    is_all: bool = True
    values: dict[str, list[FacetValue]] = field(default_factory=dict)


def query_words(q: str) -> list[str]:
    """The words of a query that name something; all of them where none does."""
    found = list(dict.fromkeys(terms(q)))
    return ([word for word in found if not is_function_word(word)] or found)[:MOST_WORDS]


def documents_newest(
    query: SearchQuery, *, before: tuple[datetime, uuid.UUID] | None = None, limit: int
) -> list[Hit]:
    """The newest documents that have every word and facet of the query; `before` is the last of the page before."""
    every = [*word_numbers(query_words(query.q)), *_facets(query)]
    rows = _having(query, every=every, any_of=_members(query), before=before, limit=limit)
    words = tuple(query_words(query.q))
    return [Hit(found, at, words=words) for found, at in rows]


def documents_best(
    query: SearchQuery, *, newest: Sequence[Hit], meaning: Vector | None
) -> list[Hit]:
    """The documents that answer the query best, the best first; one for each story. At most a few hundred.

    `newest` are those that `documents_newest` found for the query, at least CANDIDATES of them where there are.
    """
    asked = query_words(query.q)
    newest = newest[:CANDIDATES]
    if not asked:
        return list(newest)
    numbers = word_numbers(asked)
    facets, members = _facets(query), _members(query)
    sample = _Sample.of(numbers)
    found = [(hit.id, hit.at) for hit in newest]
    if len(found) < ENOUGH and len(numbers) > 1 and not members:
        rarest = sorted(range(len(numbers)), key=lambda at: sample.having[at])[:3]
        some = [numbers[at] for at in rarest]
        found += _having(query, every=facets, any_of=some, limit=CANDIDATES)
    cosines: dict[uuid.UUID, float] = {}
    if meaning is not None:
        near = _near(query, meaning, [*facets], members)
        found += [(pk, at) for pk, at, _cosine in near]
        cosines = {pk: cosine for pk, _at, cosine in near}
    times = dict(found)
    missing = [pk for pk in times if pk not in cosines]
    if meaning is not None and missing:
        cosines |= _cosines(missing, meaning)
    return _ranked(
        times=times,
        cosines=cosines,
        asked=asked,
        numbers=numbers,
        sample=sample,
        weight=0.0 if meaning is None else WEIGHT,
    )


def search_facets(newest: Sequence[Hit], *, most: int = 12) -> Facets:
    """Counts by topic, sentiment, source, entity, language and event over what `documents_newest` found, at least
    COUNTED of them where there are."""
    found = [hit.id for hit in newest[:COUNTED]]
    values: dict[str, list[FacetValue]] = {name: [] for name in FACETS}
    if found:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, {"ids": found, "most": most})
            for facet, value, count in cursor.fetchall():
                values[facet].append(FacetValue(value, count))
    return Facets(len(found), len(found) < COUNTED, values)


_COUNT = """
    WITH found AS MATERIALIZED (
        SELECT id, topics, status, sentiment, source, language_detected, event
        FROM finance_sentiment_document WHERE id = ANY(%(ids)s::uuid[])
    ),
    counted AS (
        SELECT 'topic' AS facet, topic AS value, count(*) AS documents
            FROM found, unnest(topics) AS topic WHERE status = 'scored' GROUP BY 2
        UNION ALL SELECT 'sentiment', sentiment, count(*)
            FROM found WHERE status = 'scored' GROUP BY 2
        UNION ALL SELECT 'source', source, count(*) FROM found GROUP BY 2
        UNION ALL SELECT 'language', language_detected, count(*)
            FROM found WHERE language_detected <> '' GROUP BY 2
        UNION ALL SELECT 'event', event, count(*) FROM found WHERE event <> '' GROUP BY 2
        UNION ALL SELECT 'entity', entity_id::text, count(DISTINCT document_id)
            FROM finance_sentiment_mention
            WHERE document_id = ANY(%(ids)s::uuid[]) AND state = 'linked' AND entity_id IS NOT NULL
            GROUP BY 2
    )
    SELECT facet, value, documents FROM (
        SELECT *, row_number() OVER (PARTITION BY facet ORDER BY documents DESC, value) AS place
        FROM counted
    ) ranked
    WHERE place <= %(most)s ORDER BY facet, place
"""


def _facets(query: SearchQuery) -> list[int]:
    """The numbers of the facets that a document must have, all of them."""
    wanted = {name: getattr(query, name) for name in FACETS}
    return [facet_number(name, value) for name, value in wanted.items() if value]


def _members(query: SearchQuery) -> list[int]:
    """The numbers of the entities of which a document must have one; empty: none is asked for."""
    if query.portfolio is None:
        return []
    holdings = Holding.objects.filter(portfolio_id=query.portfolio)
    members = [facet_number("entity", pk) for pk in holdings.values_list("entity_id", flat=True)]
    return members or [facet_number("entity", "nobody")]


def _bounds(query: SearchQuery) -> tuple[datetime, datetime] | None:
    """The part of the asked range that holds documents, its end included; None where there is none."""
    kept = DocumentWords.objects.aggregate(first=Min("published_at"), last=Max("published_at"))
    if kept["first"] is None:
        return None
    since = max(query.since, kept["first"]) if query.since else kept["first"]
    last = kept["last"]
    if query.until is not None and query.until <= last:
        last = query.until - timedelta(microseconds=1)
    return (since, last) if since <= last else None


def _having(
    query: SearchQuery,
    *,
    every: Sequence[int],
    any_of: Sequence[int],
    before: tuple[datetime, uuid.UUID] | None = None,
    limit: int,
) -> list[tuple[uuid.UUID, datetime]]:
    bounds = _bounds(query)
    if bounds is None:
        return []
    since, last = bounds
    edge, edge_id = before if before and before[0] <= last else (last, _LAST_ID)
    if edge < since:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM finance_documents_having("
            "%s::integer[], %s::integer[], %s::integer[], %s, %s, %s, %s, %s)",
            [list(every), list(any_of), _days(since, edge), since, edge, edge_id, WALKED, limit],
        )
        return list(cursor.fetchall())


def _days(since: datetime, last: datetime) -> list[int]:
    """The numbers of the days of a range, the newest first."""
    first, day = since.astimezone(UTC).date(), last.astimezone(UTC).date()
    found = []
    while day >= first:
        found.append(facet_number("day", day.isoformat()))
        day -= _DAY
    return found


@dataclass(frozen=True, slots=True)
class _Sample:
    """How rare words are, judged by the newest documents: how many of those have each, and how long they are."""

    documents: int
    having: list[int]
    mean_length: float

    @classmethod
    def of(cls, numbers: Sequence[int]) -> _Sample:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT count(*), avg(cardinality(terms)), {_each(numbers, "count(*) FILTER (WHERE %s)")}
                FROM (
                    SELECT terms FROM finance_sentiment_documentwords
                    ORDER BY published_at DESC, document_id DESC LIMIT %s
                ) newest
                """,  # noqa: S608 - only constants
                [*numbers, SAMPLE],
            )
            documents, mean_length, *having = cursor.fetchone()
        return cls(documents, having, float(mean_length or 1.0))


def _each(numbers: Sequence[int], column: str) -> str:
    """A column for every number, of whether a row has it; the numbers are its parameters."""
    has = "terms @> ARRAY[%s]::integer[]"
    return ", ".join(column.replace("%s", has) for _number in numbers)


# The index is walked until so many stories lie in the range (pgvector's iterative scan).
_NEAR = """
    SELECT document.id, document.published_at, near.cosine
    FROM (
        SELECT place.story_id, -(place.vector <#> %(vector)s::halfvec) AS cosine
        FROM finance_sentiment_threadstory place
        WHERE place.vector IS NOT NULL AND place.first_seen_at >= %(since)s AND place.first_seen_at <= %(last)s
        ORDER BY place.vector <#> %(vector)s::halfvec LIMIT %(most)s
    ) near
    CROSS JOIN LATERAL (
        SELECT id, published_at FROM finance_sentiment_document member
        WHERE member.story_id = near.story_id ORDER BY member.published_at, member.id LIMIT 4
    ) document
    JOIN finance_sentiment_documentwords words ON words.document_id = document.id
    WHERE near.cosine >= %(least)s AND words.terms @> %(every)s::integer[]
      AND (%(any_of)s::integer[] = '{}' OR words.terms && %(any_of)s::integer[])
"""


def _near(
    query: SearchQuery, meaning: Vector, every: Sequence[int], any_of: Sequence[int]
) -> list[tuple[uuid.UUID, datetime, float]]:
    """Documents of the stories nearest in meaning."""
    bounds = _bounds(query)
    if bounds is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true)")
        cursor.execute(
            _NEAR,
            {
                "vector": vector_text(meaning),
                # A story is as old as its first document.
                "since": bounds[0] - _DAY,
                "last": bounds[1],
                "most": CANDIDATES,
                "least": LEAST_COSINE,
                "every": list(every),
                "any_of": list(any_of),
            },
        )
        return [row for row in cursor.fetchall() if bounds[0] <= row[1] <= bounds[1]]


def _cosines(documents: Iterable[uuid.UUID], meaning: Vector) -> dict[uuid.UUID, float]:
    """How near the stories of documents are in meaning, where their vectors are kept."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT document.id, -(place.vector <#> %s::halfvec)
            FROM finance_sentiment_document document
            JOIN finance_sentiment_threadstory place ON place.story_id = document.story_id
            WHERE document.id = ANY(%s::uuid[]) AND place.vector IS NOT NULL
            """,
            [vector_text(meaning), list(documents)],
        )
        return dict(cursor.fetchall())


def _ranked(
    *,
    times: dict[uuid.UUID, datetime],
    cosines: dict[uuid.UUID, float],
    asked: Sequence[str],
    numbers: Sequence[int],
    sample: _Sample,
    weight: float,
) -> list[Hit]:
    """Candidates in order of their mixed score, the later first where equal; of each story the best."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT document_id, cardinality(terms), {_each(numbers, "(%s)::integer")}
            FROM finance_sentiment_documentwords WHERE document_id = ANY(%s::uuid[])
            """,  # noqa: S608 - only constants
            [*numbers, list(times)],
        )
        rows = cursor.fetchall()
    if not rows:
        return []
    found = [row[0] for row in rows]
    counts = np.array([row[2:] for row in rows], np.float64)
    documents = max(sample.documents, 1)
    by_words = _BM25.scores(
        counts,
        [row[1] for row in rows],
        having=sample.having,
        documents=documents,
        mean_length=sample.mean_length,
    )
    bound = _BM25.bound(documents, sample.having)
    mixed = fuse([cosines.get(pk, 0.0) for pk in found], by_words, weight, bound=bound)
    # A story whose vector is not kept any more is judged by its words alone.
    alone = fuse(np.zeros(len(found)), by_words, 0.0, bound=bound)
    scores = np.where([pk in cosines for pk in found], mixed, alone)
    hits = [
        Hit(
            pk,
            times[pk],
            round(float(scores[at]), 6),
            tuple(word for word, has in zip(asked, counts[at], strict=True) if has),
            cosines.get(pk),
        )
        for at, pk in enumerate(found)
    ]
    hits.sort(key=lambda hit: (hit.score, hit.at, hit.id), reverse=True)
    return _one_a_story(hits)


def _one_a_story(hits: Sequence[Hit]) -> list[Hit]:
    stories = dict(
        Document.objects.filter(pk__in=[hit.id for hit in hits]).values_list("pk", "story_id")
    )
    kept, seen = [], set()
    for hit in hits:
        story = stories.get(hit.id) or hit.id
        if story not in seen:
            seen.add(story)
            kept.append(hit)
    return kept
