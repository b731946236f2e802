"""Finding the texts that are nearest in meaning."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg.errors
from django.db.utils import ProgrammingError
from django.utils.translation import gettext as _

from rootstock.common.problems import Problem
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.inference import InferenceUnavailable, ModelUnusable, embed
from rootstock.vectors.models import Space
from rootstock.vectors.selectors import active_space, collection_get
from rootstock.vectors.tables import Hit, nearest
from rootstock.vectors.values import simple, storable

MOST_HITS = 200
LONGEST_QUERY = 10_000
_MOST_FILTERS = 10


@dataclass(frozen=True)
class Answer:
    """What a search found, and the one model that read the query and every text in it."""

    space_id: uuid.UUID
    model: str
    digest: str
    hits: list[Hit]


def search(
    organisation_id: uuid.UUID,
    collection_id: uuid.UUID | str,
    query: str,
    *,
    k: int = 10,
    filters: Mapping[str, Any] | None = None,
    exact: bool = False,
) -> Answer:
    """The `k` texts of a collection that are nearest to `query`, the nearest first, with their cosine.

    `filters`: attributes that an item must have, by name; a list of values means one of them. `exact` compares every
    vector instead of walking the index. Best called outside of a scope: no transaction is open while the model reads.

    The space is chosen before its model is asked, and all of the answer comes from that one: a change of model in
    between changes the next answer, not this. Only when the space was dropped in between, after its days of grace, is
    everything done again with the new one.

    Raises:
        Http404: there is no such collection.
        Problem: 409, it has no model yet, or its model has changed. 422, the query cannot be asked. 503, the model
            does not answer at the moment.
    """
    query = checked(query, k, filters or {})
    while True:
        with organisation_scope(organisation_id):
            space = active_space(collection_get(collection_id).pk)
        if space is None:
            raise Problem(409, "no-space", _("The collection is being prepared. Try again soon."))
        vector = query_vector(space, query)
        try:
            with organisation_scope(organisation_id):
                hits = nearest(space, vector, k=k, filters=filters, exact=exact)
        except ProgrammingError as error:
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                continue
            raise
        return Answer(space.pk, space.label, space.digest, hits)


def query_vector(space: Space, query: str) -> Any:
    """The vector of a query, (dimensions,), by the model that made the space.

    Raises:
        Problem: 409, the model has changed or cannot be used. 503, it does not answer at the moment.
    """
    try:
        digest, vectors = embed(space.source, [query], batch=False)
    except InferenceUnavailable as error:
        raise Problem(
            503,
            "inference-unavailable",
            _("The model does not answer at the moment. Try again."),
            headers={"Retry-After": str(max(1, round(error.retry_after)))},
        ) from error
    except ModelUnusable as error:
        raise Problem(409, "model-unusable", str(error)) from error
    if (digest, vectors.shape[1]) != (space.digest, space.dimensions):
        raise Problem(
            409,
            "model-changed",
            _("The model's files have changed since it read the collection. Have it read again."),
        )
    return vectors[0]


def checked(query: str, k: int, filters: Mapping[str, Any]) -> str:
    """The query as it is asked.

    Raises:
        Problem: 422, it, `k` or a filter cannot be.
    """
    query = query.replace("\x00", "").strip()
    if not 0 < len(query) <= LONGEST_QUERY or not storable(query):
        raise _invalid("query", _("A query has 1 to 10,000 characters."))
    if not 1 <= k <= MOST_HITS:
        raise _invalid("k", _("k is a whole number from 1 to 200."))
    values = [
        each
        for value in filters.values()
        for each in (value if isinstance(value, list | tuple) else [value])
    ]
    if len(filters) > _MOST_FILTERS or len(values) > 100:
        raise _invalid("filters", _("There are at most 10 filters with 100 values."))
    if not (all(map(storable, filters)) and all(map(simple, values))):
        raise _invalid("filters", _("A filter's value is a text, a number, yes or no, or a list."))
    return query


def _invalid(place: str, detail: str) -> Problem:
    return Problem(422, "invalid", detail, errors=[{"pointer": f"/{place}", "detail": detail}])
