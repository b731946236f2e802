"""The words of items for BM25: written, forgotten, counted and looked up here and nowhere else.

A term is stored as a number that is made from it and its collection: the one index of all organisations then has lists
of its own for every collection, so that another's texts neither lengthen them nor show in the time a search takes.

By how much a change of items changes a term's frequency is added as a row (`TermCount`) in the same transaction.
Frequencies are the sums of rows: right at every moment, and no writer waits for another over a common word. Now and
then a worker adds the rows up.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection
from psycopg import sql

from rootstock.tenancy.scope import current_organisation_id
from rootstock.vectors.conditions import conditions
from rootstock.vectors.inference import terms

# So many changes of a collection may be noted before a worker adds them up.
MERGE_AFTER = 30
# Items that get their words in one transaction of the background.
BATCH = 500
# As a term's number: the items themselves.
_ITEMS = 0
_MOST_OFTEN = 255
# Bytes before the elements of an array in PostgreSQL's binary form, and an element with its length.
_ARRAY_HEADER = 20
_ELEMENT = np.dtype([("length", ">i4"), ("term", ">i4")])


@dataclass(frozen=True)
class Statistics:
    """Of a collection: how many items, their mean length, and how many items have each of the asked terms."""

    items: int
    mean_length: float
    having: Mapping[str, int]


@dataclass(frozen=True)
class Found:
    """Items and how often each has the asked terms: ids, counts (items, terms), lengths (items,)."""

    item_ids: list[uuid.UUID]
    counts: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.float64]


def term_number(collection_id: uuid.UUID, term: str) -> int:
    """What a term is stored as: 32 bits, another number in every collection, never 0."""
    digest = hashlib.blake2b(term.encode(), digest_size=4, key=collection_id.bytes).digest()
    return int.from_bytes(digest, "big", signed=True) or 1


def words_write(collection_id: uuid.UUID, texts: Sequence[tuple[uuid.UUID, str]]) -> None:
    """Store the words of items in place of those they had. The caller's transaction holds the items."""
    if not texts:
        return
    changes = _taken_away(item_id for item_id, _text in texts)
    numbers: dict[str, int] = {}
    rows: list[tuple[Any, ...]] = []
    organisation_id = current_organisation_id()
    for item_id, text in texts:
        found = Counter(terms(text))
        counts: Counter[int] = Counter()
        for term, often in found.items():
            if term not in numbers:
                numbers[term] = term_number(collection_id, term)
            counts[numbers[term]] += often
        length = found.total()
        packed = _packed(counts.values())
        rows.append((item_id, organisation_id, collection_id, list(counts), packed, length))
        changes.items.update(counts.keys())
        changes.items[_ITEMS] += 1
        changes.length += length
    with connection.cursor() as cursor:
        cursor.executemany(_WRITE, rows)
    _note(collection_id, changes)


def words_forget(collection_id: uuid.UUID, item_ids: Sequence[uuid.UUID]) -> None:
    """Forget the words of items. The caller's transaction holds the items."""
    changes = _taken_away(item_ids)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM vectors_itemwords WHERE item_id = ANY(%s)", [list(item_ids)])
    _note(collection_id, changes)


def words_fill(collection_id: uuid.UUID) -> bool:
    """Give some of the items that have no words theirs; whether there may be more of them."""
    with connection.cursor() as cursor:
        cursor.execute(_LACKING, {"collection": collection_id, "limit": BATCH})
        texts = cursor.fetchall()
    words_write(collection_id, texts)
    return len(texts) == BATCH


def statistics(collection_id: uuid.UUID, asked: Sequence[str]) -> Statistics:
    """What BM25 needs to know of a collection for these terms."""
    numbers = {term_number(collection_id, term): term for term in asked}
    with connection.cursor() as cursor:
        cursor.execute(_STATISTICS, [collection_id, [_ITEMS, *numbers]])
        sums = {term: (int(items), int(length)) for term, items, length in cursor.fetchall()}
    items, length = sums.pop(_ITEMS, (0, 0))
    having = {numbers[number]: count for number, (count, _length) in sums.items() if count > 0}
    return Statistics(max(items, 0), length / items if items > 0 else 0.0, having)


def items_having(
    collection_id: uuid.UUID,
    wanted: Sequence[str],
    asked: Sequence[str],
    *,
    required: Sequence[str] = (),
    filters: Mapping[str, Any] | None = None,
    limit: int,
) -> Found:
    """At most `limit` items that have any of the `wanted` terms and all of the `required` ones and pass the filters,
    with how often they have each of the `asked` ones. Which, when there are more, nobody knows."""
    condition, values = conditions(filters or {})
    values |= {
        "collection": collection_id,
        "wanted": [term_number(collection_id, term) for term in wanted],
        "required": [term_number(collection_id, term) for term in required],
        "limit": limit,
    }
    join = sql.SQL("JOIN vectors_item item ON item.id = found.item_id" if filters else "")
    query = sql.SQL(
        """
        SELECT found.item_id, found.length, array_send(found.terms), found.counts
        FROM vectors_words_having(%(collection)s, %(wanted)s::integer[], %(required)s::integer[], %(limit)s) found
        {join} WHERE {condition}
        """
    ).format(join=join, condition=condition)
    return _found(collection_id, query, values, asked)


def words_of(
    collection_id: uuid.UUID, item_ids: Sequence[uuid.UUID], asked: Sequence[str]
) -> Found:
    """How often these items have the asked terms; those without words are left out."""
    query = sql.SQL(
        "SELECT item_id, length, array_send(terms), counts FROM vectors_itemwords WHERE item_id = ANY(%(ids)s)"
    )
    return _found(collection_id, query, {"ids": list(item_ids)}, asked)


def counts_merge(collection_id: uuid.UUID) -> None:
    """Add up the frequencies of a collection where many changes have been noted; for a worker."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM vectors_termcount WHERE collection_id = %s AND term = %s",
            [collection_id, _ITEMS],
        )
        if cursor.fetchone()[0] < MERGE_AFTER:
            return
        # Two at once would wait for each other's rows in different orders.
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"vectors.words {collection_id}"],
        )
        if cursor.fetchone()[0]:
            cursor.execute(_MERGE, {"collection": collection_id})


@dataclass
class _Changes:
    """By how much each term's frequency and the sum of lengths change."""

    items: Counter[int]
    length: int


_WRITE = """
    INSERT INTO vectors_itemwords (item_id, organisation_id, collection_id, terms, counts, length)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (item_id) DO UPDATE
    SET terms = excluded.terms, counts = excluded.counts, length = excluded.length
"""
_LACKING = """
    SELECT item.id, item.text FROM vectors_item item
    LEFT JOIN vectors_itemwords words ON words.item_id = item.id
    WHERE item.collection_id = %(collection)s AND words.item_id IS NULL
    ORDER BY item.id LIMIT %(limit)s FOR NO KEY UPDATE OF item
"""
_STATISTICS = """
    SELECT term, sum(items), sum(length) FROM vectors_termcount
    WHERE collection_id = %s AND term = ANY(%s) GROUP BY term
"""
_NOTE = """
    INSERT INTO vectors_termcount (organisation_id, collection_id, term, items, length)
    SELECT %s, %s, term, items, CASE WHEN term = 0 THEN %s ELSE 0 END
    FROM unnest(%s::integer[], %s::bigint[]) AS given(term, items)
"""
_MERGE = """
    WITH gone AS (
        DELETE FROM vectors_termcount WHERE collection_id = %(collection)s
        RETURNING organisation_id, term, items, length
    )
    INSERT INTO vectors_termcount (organisation_id, collection_id, term, items, length)
    SELECT organisation_id, %(collection)s, term, sum(items), sum(length) FROM gone
    GROUP BY organisation_id, term HAVING sum(items) <> 0 OR sum(length) <> 0
"""


def _packed(counts: Iterable[int]) -> bytes:
    return bytes(min(count, _MOST_OFTEN) for count in counts)


def _taken_away(item_ids: Iterable[uuid.UUID]) -> _Changes:
    """What frequencies lose with the words that these items have."""
    changes = _Changes(Counter(), 0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT terms, length FROM vectors_itemwords WHERE item_id = ANY(%s)", [list(item_ids)]
        )
        for numbers, length in cursor.fetchall():
            changes.items.subtract([_ITEMS, *numbers])
            changes.length -= length
    return changes


def _note(collection_id: uuid.UUID, changes: _Changes) -> None:
    rows = sorted((term, by) for term, by in changes.items.items() if by)
    if changes.length and not changes.items[_ITEMS]:
        rows.insert(0, (_ITEMS, 0))  # as many items as before, longer or shorter
    if rows:
        numbers, counts = zip(*rows, strict=True)
        values: list[Any] = [
            current_organisation_id(),
            collection_id,
            changes.length,
            list(numbers),
            list(counts),
        ]
        with connection.cursor() as cursor:
            cursor.execute(_NOTE, values)


def _found(
    collection_id: uuid.UUID,
    query: sql.Composable,
    values: Mapping[str, Any],
    asked: Sequence[str],
) -> Found:
    with connection.cursor() as cursor:
        # Until autovacuum has looked at the table, the planner takes it for small and would read all of it.
        cursor.execute("SELECT set_config('enable_seqscan', 'off', true)")
        cursor.execute(query, values)
        rows = cursor.fetchall()
        cursor.execute("SELECT set_config('enable_seqscan', 'on', true)")
    numbers = [term_number(collection_id, term) for term in asked]
    return Found(
        [row[0] for row in rows],
        _counted([(bytes(terms), bytes(counts)) for _id, _length, terms, counts in rows], numbers),
        np.array([row[1] for row in rows], np.float64),
    )


def _counted(
    rows: Sequence[tuple[bytes, bytes]], numbers: Sequence[int]
) -> npt.NDArray[np.float64]:
    """How often each row has each number, (rows, numbers); a row is an array in binary form and a byte an element."""
    found = np.zeros((len(rows), len(numbers)))
    if not rows or not numbers:
        return found
    sizes = np.array([len(counts) for _terms, counts in rows])
    elements = b"".join(each[_ARRAY_HEADER:] for each, _counts in rows)
    stored = np.frombuffer(elements, _ELEMENT)["term"].astype(np.int32)
    counts = np.frombuffer(b"".join(each for _terms, each in rows), np.uint8)
    order = np.argsort(numbers)
    known = np.array(numbers, np.int32)[order]
    places = np.minimum(np.searchsorted(known, stored), len(known) - 1)
    (hits,) = np.nonzero(known[places] == stored)
    owners = np.repeat(np.arange(len(rows)), sizes)
    found[owners[hits], order[places[hits]]] = counts[hits]
    return found
