"""Rank a corpus of texts for each query, and report on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ml_core.evaluation.reports.ranking import RankingReport, build_ranking_report
from ml_core.evaluation.slices import length_column

# Of longer lists only the beginning is looked at: no figure needs more.
RANKED = 100
_QUERIES_AT_ONCE = 256


def similarity_blocks(
    queries: np.ndarray, documents: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """(first query's place, cosines (queries of the block, documents)) of vectors of norm 1, block by block, so that
    memory does not grow with the square of the data."""
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        yield start, queries[start : start + _QUERIES_AT_ONCE] @ documents.T


def best_places(scores: np.ndarray, relevant: Sequence[Collection[int]]) -> list[list[int]]:
    """The places of the `RANKED` highest of each row of ``scores`` (queries, documents), from the best down; among
    equals the relevant ones come last, so that scoring everything alike gains nothing."""
    nudged = scores.copy()
    for row, places in enumerate(relevant):
        right = list(places)
        nudged[row, right] = np.nextafter(nudged[row, right], -np.inf, dtype=scores.dtype)
    kept = min(RANKED, scores.shape[1])
    highest = np.argpartition(-nudged, kept - 1, axis=-1)[:, :kept]
    values = np.take_along_axis(nudged, highest, axis=-1)
    order = np.take_along_axis(highest, np.argsort(-values, axis=-1, kind="stable"), axis=-1)
    return [places.tolist() for places in order]


def retrieval_report(
    blocks: Callable[[], Iterator[tuple[int, np.ndarray]]],
    relevant: Sequence[Collection[int]],
    *,
    names: Sequence[str],
    queries: Sequence[str],
    lines: Sequence[int],
) -> RankingReport:
    """The report of retrieval: ``blocks`` gives the scores as `similarity_blocks` does, ``relevant`` the right places
    of each query among ``names``. Ranks of `RANKED` and below count as not found."""
    ranked: list[list[int]] = []
    for start, scores in blocks():
        ranked += best_places(scores, relevant[start : start + len(scores)])
    report = build_ranking_report(
        [[names[place] for place in places] for places in ranked],
        [[names[place] for place in places] for places in relevant],
        queries=queries,
        lines=lines,
        columns={"length": length_column(queries)},
    )
    return replace(report, candidates=float(len(names)))
