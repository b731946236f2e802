"""Finding texts by their words and by their meaning at once, and telling why each was found."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import psycopg.errors
from django.db.utils import ProgrammingError
from django.utils.translation import gettext as _

from rootstock.common.problems import Problem
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.inference import (
    WEIGHT,
    Bm25,
    InferenceUnavailable,
    ModelUnusable,
    detect_language,
    fuse,
    is_function_word,
    languages_read,
    rerank,
    reranker_path,
    terms,
)
from rootstock.vectors.models import Item, Space
from rootstock.vectors.searching import checked, query_vector
from rootstock.vectors.selectors import active_space, collection_get
from rootstock.vectors.tables import Matrix, cosines, nearest
from rootstock.vectors.words import Found, Statistics, items_having, statistics, words_of

Mode = Literal["hybrid", "words", "meaning"]

# Candidates of each way of finding; both scores are then computed for all of them.
_CANDIDATES = 50
# Items whose words are compared with a query's: those of its rarest terms, so that a common one never reads everything.
_MOST_READ = 3000
_MOST_TERMS = 64
# Best hits that a reranker reads.
RERANKED = 10
_BM25 = Bm25()
_UNDETERMINED = "und"


@dataclass(frozen=True)
class HybridHit:
    """An item that was found, and why.

    `score` is what it is ranked by, 0 to 1: the mixture, or with a reranker `rerank`; `mixture` is the former in either
    case. `cosine` is None where meaning was not asked or the item has no vector yet; `words` are the query's terms that
    it has; `rank_vector` and `rank_words` its places by each alone, from 1, None where it was not among the candidates.
    """

    key: str
    text: str
    reference: str
    attributes: dict[str, Any]
    score: float
    cosine: float | None = None
    bm25: float = 0.0
    words: list[str] = field(default_factory=list)
    rank_vector: int | None = None
    rank_words: int | None = None
    rerank: float | None = None
    mixture: float = 0.0
    item_id: uuid.UUID | None = None


@dataclass(frozen=True)
class HybridAnswer:
    """What a search found. `model` and `digest` made the vectors; both are empty where only words were compared, and
    `words_only` says why: "asked", "no-space" (no model has read the collection yet), "language" (its model does not
    read the query's), "unavailable" (it does not answer). `reranked` is false where no reranker was asked or it failed.
    `weight` is the share of meaning, `bound` what no item's `bm25` can exceed. `seconds`: "embed", "vector", "words",
    "fuse", "rerank"."""

    hits: list[HybridHit]
    model: str = ""
    digest: str = ""
    words_only: str = ""
    weight: float = 0.0
    bound: float = 0.0
    reranked: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    space_id: uuid.UUID | None = None


@dataclass(frozen=True)
class _Meaning:
    """How the query is compared by meaning."""

    space: Space
    vector: Matrix


def search(
    organisation_id: uuid.UUID,
    collection_id: uuid.UUID | str,
    query: str,
    *,
    k: int = 10,
    filters: Mapping[str, Any] | None = None,
    weight: float | None = None,
    reranker: str = "",
    language: str = "",
    mode: Mode = "hybrid",
) -> HybridAnswer:
    """The `k` texts of a collection that answer `query` best, by words (BM25) and meaning (cosine) together.

    The best 50 of each way get both scores, which are mixed by `ml_core.retrieval.fuse`: `weight` is the share of
    meaning, None for the default. Where no model can compare meanings, by words alone, and the answer says why.
    `reranker`: the name of a deployed reranker, which orders the ten best anew; without it, or when it does not answer,
    their order stays. `language`: ISO 639-1, "" to find it out. `filters` as of `searching.search`. `mode` "words" or
    "meaning" compares by one alone. Best called outside of a scope: no transaction is open while a model reads.

    Raises:
        Http404: there is no such collection.
        Problem: 422, the query cannot be asked; with mode "meaning" also 409 and 503 as `searching.search`.
    """
    filters = filters or {}
    query = checked(query, k, filters)
    if weight is not None and not 0 <= weight <= 1:
        detail = _("The weight is a number from 0 to 1.")
        raise Problem(422, "invalid", detail, errors=[{"pointer": "/weight", "detail": detail}])
    seconds = dict.fromkeys(("embed", "vector", "words", "fuse", "rerank"), 0.0)
    share = {"words": 0.0, "meaning": 1.0}.get(mode, WEIGHT if weight is None else weight)
    asked = [] if mode == "meaning" else list(dict.fromkeys(terms(query)))[:_MOST_TERMS]
    while True:
        with _timed(seconds, "embed"):
            meaning, reason = _meaning(organisation_id, collection_id, query, language, mode)
        if meaning is None:
            share = 0.0
        try:
            with organisation_scope(organisation_id):
                collection = collection_get(collection_id)
                path = reranker_path(reranker) if reranker else None
                question = _Question(collection.pk, asked, filters, max(k, RERANKED))
                hits, bound = _hits(question, meaning, share, seconds)
                break
        except ProgrammingError as error:
            # The space was dropped in between: the next one is there.
            if not isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                raise
    reranked = False
    if path and hits:
        with _timed(seconds, "rerank"):
            hits, reranked = _reranked(path, query, hits)
    return HybridAnswer(
        hits[:k],
        meaning.space.label if meaning else "",
        meaning.space.digest if meaning else "",
        reason,
        share,
        bound,
        reranked,
        seconds,
        meaning.space.pk if meaning else None,
    )


@dataclass(frozen=True)
class _Question:
    collection_id: uuid.UUID
    asked: Sequence[str]
    filters: Mapping[str, Any]
    k: int


def _meaning(
    organisation_id: uuid.UUID,
    collection_id: uuid.UUID | str,
    query: str,
    language: str,
    mode: Mode,
) -> tuple[_Meaning | None, str]:
    """How to compare meanings, or None and why not."""
    if mode == "words":
        return None, "asked"
    with organisation_scope(organisation_id):
        space = active_space(collection_get(collection_id).pk)
        known = languages_read(space.source) if space else None
    if space is None:
        if mode == "meaning":
            raise Problem(409, "no-space", _("The collection is being prepared. Try again soon."))
        return None, "no-space"
    spoken = language or detect_language(query)
    if mode == "hybrid" and known is not None and spoken not in {*known, _UNDETERMINED}:
        return None, "language"
    try:
        return _Meaning(space, query_vector(space, query)), ""
    except Problem:
        if mode == "meaning":
            raise
        return None, "unavailable"


def _hits(
    question: _Question, meaning: _Meaning | None, weight: float, seconds: dict[str, float]
) -> tuple[list[HybridHit], float]:
    """The best of both ways, with both scores, and what no score by words can exceed."""
    count = max(_CANDIDATES, question.k)
    by_vector: dict[uuid.UUID, float] = {}
    with _timed(seconds, "vector"):
        if meaning:
            near = nearest(meaning.space, meaning.vector, k=count, filters=question.filters)
            by_vector = {hit.item_id: hit.score for hit in near}
    with _timed(seconds, "words"):
        words = _Words(question.asked, statistics(question.collection_id, question.asked))
        for some in _candidates(question, words):
            words.add(some)
        by_words = words.best(count)
        left = [item_id for item_id in by_vector if item_id not in words.scores]
        if words.present and left:
            words.add(words_of(question.collection_id, left, words.present))
    with _timed(seconds, "vector"):
        found = list(dict.fromkeys([*by_vector, *by_words]))
        missing = [item_id for item_id in by_words if item_id not in by_vector]
        cosine = by_vector | (
            cosines(meaning.space, meaning.vector, missing) if meaning and missing else {}
        )
    with _timed(seconds, "fuse"):
        scores = fuse(
            [cosine.get(item_id, 0.0) for item_id in found],
            [words.scores.get(item_id, 0.0) for item_id in found],
            weight,
            bound=words.bound,
        )
        order = sorted(range(len(found)), key=lambda at: (-scores[at], str(found[at])))
        best = [(found[at], float(scores[at])) for at in order[: question.k]]
        items = {item.pk: item for item in Item.objects.filter(pk__in=[each for each, _ in best])}
        vector_ranks = {item_id: rank for rank, item_id in enumerate(by_vector, start=1)}
        word_ranks = {item_id: rank for rank, item_id in enumerate(by_words, start=1)}
        hits = [
            HybridHit(
                key=item.key,
                text=item.text,
                reference=item.reference,
                attributes=item.attributes,
                score=score,
                mixture=score,
                cosine=cosine.get(item_id),
                bm25=words.scores.get(item_id, 0.0),
                words=words.matched(item_id),
                rank_vector=vector_ranks.get(item_id),
                rank_words=word_ranks.get(item_id),
                item_id=item_id,
            )
            for item_id, score in best
            if (item := items.get(item_id)) is not None
        ]
    return hits, words.bound


def _candidates(question: _Question, words: _Words) -> Iterator[Found]:
    """Items that have the query's rarest terms, of which as many are taken as may be read; where even the rarest is
    too common, first those that have the two rarest together.

    When filters leave too few of them, those of the other terms as well.
    """

    present, having_of = words.present, words.known.having
    if not present:
        return

    def having(wanted: Sequence[str], required: Sequence[str] = ()) -> Found:
        return items_having(
            question.collection_id,
            wanted,
            present,
            required=required,
            filters=question.filters,
            limit=_MOST_READ,
        )

    chosen: list[str] = []
    room = _MOST_READ
    for term in present:
        room -= having_of[term]
        if room < 0:
            break
        chosen.append(term)
    if not chosen and len(present) > 1:
        both = having(present[:1], present[:2])
        yield both
        if len(both.item_ids) >= question.k:
            return
    first = having(chosen or present[:1])
    yield first
    rest = present[len(chosen or present[:1]) :]
    if rest and len(first.item_ids) < question.k:
        yield having(rest)


class _Words:
    """BM25 of items that have been looked at."""

    def __init__(self, asked: Sequence[str], known: Statistics) -> None:
        self.asked = asked
        self.known = known
        # The rarest first: which are looked for first.
        self.present = sorted(known.having, key=lambda term: (known.having[term], term))
        self.scores: dict[uuid.UUID, float] = {}
        self._counts: dict[uuid.UUID, Any] = {}

    @property
    def bound(self) -> float:
        """What no item's score can exceed."""
        return _BM25.bound(
            self.known.items, [self.known.having.get(term, 0) for term in self.asked]
        )

    def add(self, found: Found) -> None:
        """Note the scores of items."""
        scores = _BM25.scores(
            found.counts,
            found.lengths,
            having=[self.known.having[term] for term in self.present],
            documents=self.known.items,
            mean_length=self.known.mean_length,
        )
        self.scores.update(zip(found.item_ids, scores.tolist(), strict=True))
        self._counts.update(zip(found.item_ids, found.counts, strict=True))

    def best(self, count: int) -> list[uuid.UUID]:
        """The best items, the best first."""
        ranked = sorted(
            (-score, str(each), each) for each, score in self.scores.items() if score > 0
        )
        return [each for _score, _text, each in ranked[:count]]

    def matched(self, item_id: uuid.UUID) -> list[str]:
        """The query's terms that an item has, in the query's order, without those that name nothing."""
        counts = self._counts.get(item_id, ())
        has = {term for term, often in zip(self.present, counts, strict=False) if often}
        return [term for term in self.asked if term in has and not is_function_word(term)]


def _reranked(path: str, query: str, hits: list[HybridHit]) -> tuple[list[HybridHit], bool]:
    """The hits with the best ten in a reranker's order, and whether it answered."""
    top, rest = hits[:RERANKED], hits[RERANKED:]
    try:
        scores = rerank(path, query, [hit.text for hit in top])
    except (InferenceUnavailable, ModelUnusable):
        return hits, False
    judged = [
        replace(hit, rerank=score, score=score) for hit, score in zip(top, scores, strict=True)
    ]
    return sorted(judged, key=lambda hit: -hit.score) + rest, True


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] += time.perf_counter() - started
