"""Groups of texts that speak of the same, by their vectors, with the words that tell them apart.

Groups are the components of the graph in which each text points to its nearest neighbours that are near enough, both
ways (shared neighbours keep chains from growing), as in Jarvis and Patrick 1973. Nothing is forced into a group. The
words of a group are ranked by class-based tf-idf, Grootendorst, "BERTopic", 2022.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_core.linking.folding import is_chinese
from ml_core.retrieval import is_function_word
from ml_core.text import segment

Vectors = npt.NDArray[np.float32]
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Cluster:
    """Places of texts, the most typical first, and the mean cosine of the members with their centre."""

    members: tuple[int, ...]
    cohesion: float


def cluster(
    vectors: Vectors, *, alike: float = 0.6, neighbours: int = 10, least: int = 5
) -> list[Cluster]:
    """Groups of at least ``least`` rows of ``vectors`` (texts, numbers), of norm 1, the greatest first.

    ``alike`` is the least cosine of neighbours. Takes texts² products, a block at a time.
    """
    mutual = _mutual_neighbours(vectors, alike, neighbours)
    parent = list(range(len(vectors)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for left, near in enumerate(mutual):
        for right in near:
            # Two texts are joined when they share a neighbour, or are each other's only ones.
            if right > left and (mutual[right] & near or len(near) == len(mutual[right]) == 1):
                parent[root(right)] = root(left)
    groups: dict[int, list[int]] = {}
    for place in range(len(vectors)):
        groups.setdefault(root(place), []).append(place)
    found = [_cluster(vectors, group) for group in groups.values() if len(group) >= least]
    return sorted(found, key=lambda each: (-len(each.members), each.members))


def telling_terms(
    groups: Sequence[Sequence[str]], others: Sequence[str], *, most: int = 8
) -> list[list[str]]:
    """The words of each group of texts that the other groups and ``others`` have less of, the best first."""
    counts = [Counter(_terms(texts)) for texts in groups]
    everywhere = sum(counts, Counter(_terms(others)))
    classes = len(groups) + bool(others)
    average = everywhere.total() / max(1, classes)
    found = []
    for texts, count in zip(groups, counts, strict=True):
        documents = Counter(term for text in texts for term in set(_terms([text])))
        scores = {
            term: number * math.log(1 + average / everywhere[term])
            for term, number in count.items()
            if documents[term] * 4 >= len(texts)
        }
        ranked = sorted(scores, key=lambda term: (-scores[term], term))
        found.append(ranked[:most])
    return found


def _terms(texts: Sequence[str]) -> list[str]:
    return [
        term
        for text in texts
        for term in segment(text, "zh" if any(map(is_chinese, text)) else "en")
        if len(term) > 1 and not term[0].isdigit() and not is_function_word(term)
    ]


def _mutual_neighbours(vectors: Vectors, alike: float, neighbours: int) -> list[set[int]]:
    near: list[set[int]] = []
    for start in range(0, len(vectors), _BLOCK):
        likeness = vectors[start : start + _BLOCK] @ vectors.T
        for row, values in enumerate(likeness):
            values[start + row] = -1.0
            count = min(neighbours, len(values))
            best = np.argpartition(-values, count - 1)[:count]
            near.append({int(place) for place in best if values[place] >= alike})
    return [{other for other in own if place in near[other]} for place, own in enumerate(near)]


def _cluster(vectors: Vectors, group: list[int]) -> Cluster:
    centre = vectors[group].mean(0)
    centre /= max(float(np.linalg.norm(centre)), 1e-9)
    likeness = vectors[group] @ centre
    order = np.argsort(-likeness, kind="stable")
    return Cluster(tuple(group[place] for place in order), round(float(likeness.mean()), 4))
