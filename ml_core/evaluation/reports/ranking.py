"""The report of a ranker or retriever: reranking, next item, retrieval by embedding."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ml_core.evaluation import ranking
from ml_core.evaluation.answers import Answers
from ml_core.evaluation.intervals import bootstrap_mean, mean_of_sums
from ml_core.evaluation.ranking import Relevance
from ml_core.evaluation.reports.common import WORST_ERRORS, Report, aligned, json_value, shown
from ml_core.evaluation.slices import slice_scores

CUT_OFFS = (1, 5, 10)


@dataclass(frozen=True)
class RankingError:
    """A query whose relevant documents stand low or not at all. ``place`` is that of the first
    relevant document (from 1), None if there is none in the list."""

    query: str
    relevant: tuple[str, ...]
    ranked: tuple[str, ...]
    place: int | None
    line: int


@dataclass(frozen=True, kw_only=True)
class RankingReport(Report):
    """Scores of one ranker, means over the queries; the headline is nDCG@10.

    ``metrics`` has ``ndcg_at_k``, ``recall_at_k``, ``mrr_at_k`` and ``hit_at_k`` for each cut-off
    and ``map``; `to_dict` has them beside the rest. ``candidates`` is the mean length of a list,
    without which no such number means anything. ``without_relevant``: queries that have no relevant
    document, which are left out of the means and of ``count``.
    """

    kind: ClassVar[str] = "ranking"
    not_in_summary: ClassVar[tuple[str, ...]] = ("worst_errors",)

    metrics: dict[str, float]
    candidates: float
    without_relevant: int
    worst_errors: tuple[RankingError, ...]

    @property
    def score(self) -> float:
        return self.metrics[self.headline]

    def to_dict(self) -> dict[str, Any]:
        """See `Report.to_dict`; each of ``metrics`` is a key of its own."""
        values = super().to_dict()
        del values["metrics"]
        rounded: dict[str, Any] = json_value(self.metrics)
        return values | rounded


def build_ranking_report(
    ranked: Sequence[Sequence[Hashable]],
    relevant: Sequence[Relevance],
    *,
    queries: Sequence[str] | None = None,
    lines: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    cut_offs: Sequence[int] = CUT_OFFS,
) -> RankingReport:
    """Score lists of document ids, best first, one per query.

    ``relevant`` has, per query, the ids of the relevant documents or a mapping from id to gain.
    ``queries`` (their texts) and ``lines`` are shown with the worst errors; ``columns`` (a value
    per query) make the slices, scored by the headline, nDCG at the largest cut-off.

    Raises ValueError for no queries, columns of different lengths, or no query with a relevant
    document.
    """
    aligned(len(ranked), relevant=relevant, queries=queries, lines=lines)
    pairs = [ranking.gains_of(a, b) for a, b in zip(ranked, relevant, strict=True)]
    known = [at for at, (_, gains) in enumerate(pairs) if any(gain > 0 for gain in gains)]
    if not known:
        raise ValueError("no query has a relevant document")
    table: dict[str, np.ndarray] = {}
    for k in sorted(set(cut_offs)):
        table[f"ndcg_at_{k}"] = np.array([ranking.ndcg(*pairs[at], k) for at in known])
        table[f"recall_at_{k}"] = np.array([ranking.recall_at(*pairs[at], k) for at in known])
        table[f"mrr_at_{k}"] = np.array([ranking.reciprocal_rank(pairs[at][0], k) for at in known])
        table[f"hit_at_{k}"] = np.array([ranking.hit_at(pairs[at][0], k) for at in known])
    table["map"] = np.array([ranking.mean_precision(*pairs[at]) for at in known])
    largest = max(cut_offs)
    headline = f"ndcg_at_{largest}"
    kept = {
        name: [values[at] for at in known] if len(values) == len(ranked) else list(values)
        for name, values in (columns or {}).items()
    }
    order = sorted(range(len(known)), key=lambda row: table[headline][row])
    # Without lines a query has no key by which another model's answer to it could be found.
    answers = None
    if lines:
        answers = Answers(
            headline=headline,
            lines=[lines[at] for at in known],
            said=[shown(str(ranked[at][0])) if ranked[at] else "" for at in known],
            scores=table[headline],
            judged=False,
        )
    return RankingReport(
        headline=headline,
        count=len(known),
        intervals={
            name: bootstrap_mean(table[name])
            for name in (headline, f"mrr_at_{largest}", f"recall_at_{largest}", "hit_at_1")
            if name in table
        },
        slices=slice_scores(
            kept,
            np.column_stack([table[headline], np.ones(len(known))]),
            mean_of_sums,
            metric=headline,
        ),
        metrics={name: float(values.mean()) for name, values in table.items()},
        answers=answers,
        candidates=float(np.mean([len(ranked[at]) for at in known])),
        without_relevant=len(ranked) - len(known),
        worst_errors=tuple(
            _error(
                known[row],
                gains=pairs[known[row]][0],
                ranked=ranked,
                relevant=relevant,
                queries=queries,
                lines=lines,
            )
            for row in order[:WORST_ERRORS]
            if table[headline][row] < 1
        ),
    )


def build_scored_ranking_report(
    queries: Sequence[str],
    documents: Sequence[str],
    scores: Sequence[float] | np.ndarray,
    gains: Sequence[float],
    *,
    cut_offs: Sequence[int] = CUT_OFFS,
) -> RankingReport:
    """Score flat rows of (query, document, model's score, gain), as a reranker answers them: the
    rows of one query are its list.

    Among equal scores the irrelevant come first, so that a model that scores everything alike gains
    nothing by it. Raises ValueError as `build_ranking_report` does.
    """
    aligned(len(queries), documents=documents, scores=scores, gains=gains)
    places: dict[str, list[int]] = {}
    for at, query in enumerate(queries):
        places.setdefault(query, []).append(at)
    ranked = [
        sorted(rows, key=lambda at: (-float(scores[at]), float(gains[at])))
        for rows in places.values()
    ]
    # A document may stand in several rows of a query: rows are the ids, their texts are shown.
    return build_ranking_report(
        [[_Named(at, documents[at]) for at in rows] for rows in ranked],
        [
            {_Named(at, documents[at]): float(gains[at]) for at in rows if gains[at] > 0}
            for rows in ranked
        ],
        queries=list(places),
        cut_offs=cut_offs,
    )


def build_retrieval_report(
    similarity: np.ndarray,
    relevant: Sequence[int],
    *,
    queries: Sequence[str] | None = None,
    documents: Sequence[str] | None = None,
    cut_offs: Sequence[int] = CUT_OFFS,
) -> RankingReport:
    """Score a matrix of similarities (queries, documents), with the column of the one right
    document of each query: retrieval among all positives of an embedding data set.

    Raises ValueError as `build_ranking_report` does, or for a column that is not there.
    """
    aligned(len(similarity), relevant=relevant, queries=queries)
    columns = similarity.shape[1]
    if not all(0 <= at < columns for at in relevant):
        raise ValueError(f"a right document is not one of the {columns} columns")
    rows = np.arange(len(similarity))
    right = np.asarray(relevant)
    # Ties go against the right document.
    nudged = similarity.astype(np.float64)
    nudged[rows, right] = np.nextafter(nudged[rows, right], -np.inf)
    names = [_Named(at, documents[at] if documents else str(at)) for at in range(columns)]
    return build_ranking_report(
        [[names[at] for at in order] for order in np.argsort(-nudged, axis=1, kind="stable")],
        [[names[at]] for at in relevant],
        queries=queries,
        cut_offs=cut_offs,
    )


@dataclass(frozen=True)
class _Named:
    """A document: equal by its place, shown by its text."""

    place: int
    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and self.place == other.place

    def __hash__(self) -> int:
        return self.place

    def __str__(self) -> str:
        return self.text


def _error(
    at: int,
    *,
    gains: Sequence[float],
    ranked: Sequence[Sequence[Hashable]],
    relevant: Sequence[Relevance],
    queries: Sequence[str] | None,
    lines: Sequence[int] | None,
) -> RankingError:
    first = next((place for place, gain in enumerate(gains, start=1) if gain > 0), None)
    return RankingError(
        query=shown(queries[at]) if queries else "",
        relevant=tuple(shown(str(document)) for document in list(relevant[at])[:5]),
        ranked=tuple(shown(str(document)) for document in ranked[at][:5]),
        place=first,
        line=lines[at] if lines else 0,
    )
