"""A page of what was found, and the cursor of the next one."""

from __future__ import annotations

import base64
import json
import logging
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from django.utils import timezone

from apps.finance_sentiment.inference import InferenceUnavailable, ModelUnusable
from apps.finance_sentiment.inference.searching import query_meaning
from apps.finance_sentiment.models import Document
from apps.finance_sentiment.selectors.search import (
    CANDIDATES,
    COUNTED,
    Facets,
    Hit,
    SearchQuery,
    documents_best,
    documents_newest,
    search_facets,
)
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

Order = Literal["best", "newest"]
ORDERS: tuple[Order, ...] = ("best", "newest")


class BadCursor(ValueError):
    """A cursor that no page gave out."""


@dataclass(frozen=True, slots=True)
class Found:
    """A document with why it was found."""

    document: Document
    hit: Hit


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of answers. `next` is the cursor of the next page, empty on the last; `facets` are those of the first
    page. `words_only` says why meaning was not compared: "order", "no-words" or "unavailable"; empty: it was."""

    results: list[Found]
    next: str = ""
    facets: Facets = field(default_factory=Facets)
    words_only: str = ""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The last document of a page, and until when the search that began it looked."""

    at: datetime
    id: uuid.UUID
    score: float
    until: datetime

    def text(self) -> str:
        values = [self.at.isoformat(), str(self.id), self.score, self.until.isoformat()]
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> _Cursor:
        try:
            padded = text + "=" * (-len(text) % 4)
            at, pk, score, until = json.loads(base64.urlsafe_b64decode(padded))
            cursor = cls(
                datetime.fromisoformat(at),
                uuid.UUID(pk),
                float(score),
                datetime.fromisoformat(until),
            )
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise BadCursor("not a cursor") from error
        if cursor.at.tzinfo is None or cursor.until.tzinfo is None:
            raise BadCursor("not a cursor")
        return cursor


def search_page(
    organisation_id: uuid.UUID,
    query: SearchQuery,
    *,
    order: Order,
    cursor: str = "",
    size: int = 50,
) -> SearchPage:
    """One page. Call outside a scope: no transaction is open while the model reads the query.

    The pages of one search do not move when documents arrive: those after its first page are for the next search.

    Raises:
        BadCursor.
    """
    last = _Cursor.read(cursor) if cursor else None
    until = last.until if last else query.until or timezone.now()
    held = replace(query, until=until)
    if order == "newest" or not query.q.strip():
        with organisation_scope(organisation_id):
            before = (last.at, last.id) if last else None
            wanted = size + 1 if last else max(size + 1, COUNTED)
            newest = documents_newest(held, before=before, limit=wanted)
            facets = Facets() if last else search_facets(newest)
            return _page(newest, size, held, facets, "order" if query.q else "no-words")
    meaning, reason = None, ""
    try:
        meaning = query_meaning(query.q)
    except (InferenceUnavailable, ModelUnusable) as error:
        logger.info("searched by words alone: %s", error)
        reason = "unavailable"
    with organisation_scope(organisation_id):
        newest = documents_newest(held, limit=CANDIDATES if last else max(CANDIDATES, COUNTED))
        hits = documents_best(held, newest=newest, meaning=meaning)
        if last is not None:
            end = (last.score, last.at, last.id)
            hits = [hit for hit in hits if (hit.score, hit.at, hit.id) < end]
        return _page(hits, size, held, Facets() if last else search_facets(newest), reason)


def _page(
    hits: list[Hit], size: int, query: SearchQuery, facets: Facets, words_only: str
) -> SearchPage:
    shown = hits[:size]
    rows = Document.objects.filter(pk__in=[hit.id for hit in shown]).select_related("story")
    documents = {row.pk: row for row in rows}
    end, until = shown[-1] if len(hits) > size else None, query.until
    return SearchPage(
        results=[Found(documents[hit.id], hit) for hit in shown if hit.id in documents],
        next=_Cursor(end.at, end.id, end.score, until).text() if end and until else "",
        facets=facets,
        words_only=words_only,
    )
