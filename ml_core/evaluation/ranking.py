"""Scores of ranked lists.

``gains`` is always the relevance of each place of a list, best place first (0: irrelevant; 1: relevant;
more for graded relevance), and ``relevant`` the gains of all relevant documents there are, in any
order, whether the list has them or not.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np

Relevance = Collection[Hashable] | Mapping[Hashable, float]


def discounted_gain(gains: Sequence[float], k: int) -> float:
    """DCG@k = Σ gain / log2(place + 1) (Järvelin and Kekäläinen 2002)."""
    top = np.asarray(gains[:k], dtype=float)
    return float((top / np.log2(np.arange(2, len(top) + 2))).sum())


def ndcg(gains: Sequence[float], relevant: Sequence[float], k: int) -> float:
    """DCG@k over that of the best possible list; 0 where nothing is relevant."""
    best = discounted_gain(sorted(relevant, reverse=True), k)
    return discounted_gain(gains, k) / best if best > 0 else 0.0


def recall_at(gains: Sequence[float], relevant: Sequence[float], k: int) -> float:
    """Share of the relevant documents among the first k; 0 where nothing is relevant."""
    total = sum(gain > 0 for gain in relevant)
    return sum(gain > 0 for gain in gains[:k]) / total if total else 0.0


def hit_at(gains: Sequence[float], k: int) -> float:
    """1 if any of the first k is relevant, else 0."""
    return float(any(gain > 0 for gain in gains[:k]))


def reciprocal_rank(gains: Sequence[float], k: int) -> float:
    """1 / place of the first relevant document, 0 if it is not among the first k."""
    place = next((at for at, gain in enumerate(gains[:k], start=1) if gain > 0), None)
    return 1 / place if place else 0.0


def mean_precision(gains: Sequence[float], relevant: Sequence[float]) -> float:
    """Average precision of one list: the mean, over all relevant documents, of the precision at the
    place of each (0 for one that the list has not). Its mean over queries is MAP."""
    total = sum(gain > 0 for gain in relevant)
    hits, precision = 0, 0.0
    for place, gain in enumerate(gains, start=1):
        if gain > 0:
            hits += 1
            precision += hits / place
    return precision / total if total else 0.0


def gains_of(ranked: Sequence[Hashable], relevant: Relevance) -> tuple[list[float], list[float]]:
    """(gains, relevant) of a ranked list of ids.

    ``relevant``: the relevant ids, or their gains by id. An id that is ranked twice counts at its
    first place only.
    """
    gain_by_id = dict(relevant) if isinstance(relevant, Mapping) else dict.fromkeys(relevant, 1.0)
    gains = [gain_by_id.get(document, 0.0) for document in dict.fromkeys(ranked)]
    return gains, list(gain_by_id.values())
