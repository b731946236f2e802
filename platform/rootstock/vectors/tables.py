"""The tables of vectors, one a space: made, written, compared, searched and dropped here and nowhere else.

A space has a table of its own for three reasons. Its HNSW index holds the vectors of one organisation and one model
only, so neither another organisation's rows nor a filter on the model thin out what the index hands up. The column
has the model's number of dimensions. And a space that has had its day goes with one DROP TABLE, which locks nobody
else's rows, instead of a hundred thousand deletions that an index must forget one by one.

The role of the web process and the workers owns no table. Two SECURITY DEFINER functions (see the migration) make and
drop them, and only for a row of `vectors_space` that row-level security shows to the caller.

Vectors have the norm 1, so the inner product is the cosine.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection
from psycopg import sql

from rootstock.vectors.conditions import conditions
from rootstock.vectors.models import Space

Matrix = npt.NDArray[np.float32]

# Candidates that the index keeps while it looks; pgvector's own default is 40.
_LEAST_CANDIDATES = 80
_MOST_CANDIDATES = 1000
# Until autovacuum has looked at a table, the planner takes it for small and would sort all of it for the first few
# rows; without sorting, only an index gives the order.
_SORTING = "SELECT set_config('enable_sort', %s, true)"
_WALK = """
    SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', %s, true)
"""


@dataclass(frozen=True)
class Text:
    """An item that waits for its vector."""

    item_id: uuid.UUID
    text: str
    content_hash: str


@dataclass(frozen=True)
class Hit:
    """An item that a search found; `score` is the cosine of its vector and the query's."""

    item_id: uuid.UUID
    key: str
    text: str
    reference: str
    attributes: dict[str, Any]
    score: float


def table_make(space: Space) -> None:
    """Make the empty table and index of a space that has been saved."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT vectors_space_make(%s)", [space.pk])


def table_drop(space: Space) -> None:
    """Drop the vectors of a space; a table that is gone already is fine.

    Waits at most two seconds for searches that are reading it.

    Raises:
        OperationalError: somebody reads it still (lock timeout); try again later.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT vectors_space_drop(%s)", [space.pk])


def texts_missing(space: Space, *, after: uuid.UUID | None, limit: int) -> list[Text]:
    """Items without a vector of their present text, by id from `after` on."""
    query = sql.SQL(
        """
        SELECT item.id, item.text, item.content_hash
        FROM vectors_item item
        LEFT JOIN {table} vector ON vector.item_id = item.id AND vector.content_hash = item.content_hash
        WHERE item.collection_id = %(collection)s AND vector.item_id IS NULL
            AND (%(after)s::uuid IS NULL OR item.id > %(after)s)
        ORDER BY item.id LIMIT %(limit)s
        """
    ).format(table=_table(space))
    values = {"collection": space.collection_id, "after": after, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_SORTING, ["off"])
        cursor.execute(query, values)
        rows = cursor.fetchall()
        cursor.execute(_SORTING, ["on"])
    return [Text(*row) for row in rows]


def texts_missing_of(space: Space, item_ids: Sequence[uuid.UUID | str]) -> list[Text]:
    """Those of the items that have no vector of their present text."""
    query = sql.SQL(
        """
        SELECT item.id, item.text, item.content_hash
        FROM vectors_item item
        LEFT JOIN {table} vector ON vector.item_id = item.id AND vector.content_hash = item.content_hash
        WHERE item.id = ANY(%s::uuid[]) AND item.collection_id = %s AND vector.item_id IS NULL
        ORDER BY item.id
        """
    ).format(table=_table(space))
    with connection.cursor() as cursor:
        cursor.execute(query, [list(map(str, item_ids)), space.collection_id])
        return [Text(*row) for row in cursor.fetchall()]


def count_missing(space: Space) -> int:
    """How many items have no vector of their present text."""
    query = sql.SQL(
        """
        SELECT count(*) FROM vectors_item item
        LEFT JOIN {table} vector ON vector.item_id = item.id AND vector.content_hash = item.content_hash
        WHERE item.collection_id = %s AND vector.item_id IS NULL
        """
    ).format(table=_table(space))
    with connection.cursor() as cursor:
        cursor.execute(query, [space.collection_id])
        return int(cursor.fetchone()[0])


def lost_between(present: Space, coming: Space) -> int:
    """How many items `present` can find by their text of now and `coming` cannot."""
    query = sql.SQL(
        """
        SELECT count(*) FROM vectors_item item
        JOIN {present} old ON old.item_id = item.id AND old.content_hash = item.content_hash
        LEFT JOIN {coming} new ON new.item_id = item.id AND new.content_hash = item.content_hash
        WHERE item.collection_id = %s AND new.item_id IS NULL
        """
    ).format(present=_table(present), coming=_table(coming))
    with connection.cursor() as cursor:
        cursor.execute(query, [coming.collection_id])
        return int(cursor.fetchone()[0])


def vectors_write(space: Space, texts: Sequence[Text], vectors: Matrix) -> int:
    """Store the vectors, (texts, dimensions), of items that still say what was embedded; returns how many.

    The items are locked against change until the transaction ends, so a vector never outlives its text here.
    """
    query = sql.SQL(
        """
        WITH given AS (
            SELECT * FROM unnest(%(ids)s::uuid[], %(hashes)s::text[], %(vectors)s::text[])
                AS given(item_id, content_hash, embedding)
        ), same AS (
            SELECT item.id, item.content_hash FROM vectors_item item JOIN given ON given.item_id = item.id
            WHERE item.collection_id = %(collection)s AND item.content_hash = given.content_hash
            ORDER BY item.id FOR SHARE OF item
        )
        INSERT INTO {table} AS vector (item_id, content_hash, embedding)
        SELECT same.id, same.content_hash, given.embedding::vector
        FROM same JOIN given ON given.item_id = same.id AND given.content_hash = same.content_hash
        ORDER BY same.id
        ON CONFLICT (item_id) DO UPDATE SET content_hash = excluded.content_hash, embedding = excluded.embedding
        WHERE vector.content_hash <> excluded.content_hash
        """
    ).format(table=_table(space))
    values: dict[str, Any] = {
        "ids": [text.item_id for text in texts],
        "hashes": [text.content_hash for text in texts],
        "vectors": [_literal(row) for row in vectors],
        "collection": space.collection_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return int(cursor.rowcount)


def vectors_delete(space: Space, item_ids: Sequence[uuid.UUID]) -> None:
    """Forget the vectors of items."""
    query = sql.SQL("DELETE FROM {table} WHERE item_id = ANY(%s)").format(table=_table(space))
    with connection.cursor() as cursor:
        cursor.execute(query, [list(item_ids)])


def nearest(
    space: Space,
    vector: Matrix,
    *,
    k: int,
    filters: Mapping[str, Any] | None = None,
    exact: bool = False,
) -> list[Hit]:
    """The `k` items whose vectors are nearest to `vector`, (dimensions,), the nearest first.

    The index is walked until `k` items pass the filters (pgvector's iterative scan); it gives up after
    `hnsw.max_scan_tuples`, so an answer that is short of `k` is computed again by comparing every vector. `exact`
    does that at once. Each of the two is one statement, so one snapshot.

    Raises:
        ProgrammingError: the space has been dropped meanwhile.
    """
    condition, values = conditions(filters or {})
    values |= {"query": _literal(vector), "k": k, "collection": space.collection_id}
    hits = [] if exact else _search(space, condition, values, index=True)
    if len(hits) < k:
        hits = _search(space, condition, values, index=False)
    return hits


def cosines(space: Space, vector: Matrix, item_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, float]:
    """The cosine of these items' vectors and `vector`, (dimensions,); items without a vector are left out.

    Raises:
        ProgrammingError: the space has been dropped meanwhile.
    """
    query = sql.SQL(
        "SELECT item_id, -(embedding <#> %s::vector) FROM {table} WHERE item_id = ANY(%s)"
    ).format(table=_table(space))
    with connection.cursor() as cursor:
        cursor.execute(query, [_literal(vector), list(item_ids)])
        return {item_id: float(cosine) for item_id, cosine in cursor.fetchall()}


def _search(
    space: Space, condition: sql.Composable, values: Mapping[str, Any], *, index: bool
) -> list[Hit]:
    # The index knows the order of the bare operator only: by its negative every vector is compared.
    order = "vector.embedding <#> %(query)s::vector" if index else "score DESC"
    query = sql.SQL(
        """
        SELECT item.id, item.key, item.text, item.reference, item.attributes::text,
            -(vector.embedding <#> %(query)s::vector) AS score
        FROM {table} vector JOIN vectors_item item ON item.id = vector.item_id
        WHERE {condition} ORDER BY {order} LIMIT %(k)s
        """
    ).format(table=_table(space), condition=condition, order=sql.SQL(order))
    candidates = min(_MOST_CANDIDATES, max(_LEAST_CANDIDATES, 2 * values["k"]))
    with connection.cursor() as cursor:
        cursor.execute(_SORTING, ["off" if index else "on"])
        cursor.execute(_WALK, [str(candidates)])
        cursor.execute(query, values)
        rows = cursor.fetchall()
        cursor.execute(_SORTING, ["on"])
    return [
        Hit(item_id, key, text, reference, json.loads(attributes), float(score))
        for item_id, key, text, reference, attributes, score in rows
    ]


def _table(space: Space) -> sql.Identifier:
    return sql.Identifier(f"vectors_space_{space.pk.hex}")


def _literal(vector: Matrix) -> str:
    """A vector as pgvector reads it; nine digits name a float32 exactly."""
    return "[" + ",".join(f"{value:.9g}" for value in vector.tolist()) + "]"
