"""Answers made of sentences of the sources, and how well sources support a sentence.

The composer writes nothing: it chooses. Every sentence of an answer stands in a source, is given with that source's
number, and is left out when another has already said the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml_core.retrieval.analysis import content_terms, is_function_word, terms
from ml_core.retrieval.boundaries import sentences

Scores = npt.NDArray[np.floating]

MOST_SENTENCES = 4
# A sentence that shares so much of its words with one that is chosen says the same.
_SAME = 0.75
_SAME_COSINE = 0.93
# Below this share of the best sentence's score another adds nothing to the answer.
_WORTH = 0.5
# How much of what the words tell counts beside vectors or a reranker.
_WORDS = 0.4
# A sentence next to a good one often goes on with the answer.
_NEIGHBOUR = 0.25
# "And the tent?" asks about the tent, whatever else the question before it named.
_FOCUS = 3.0


@dataclass(frozen=True)
class Passage:
    """A source: ``text`` under its ``headings``. ``kind`` as of a `Chunk`; of a "question" the last heading is the
    question and the text its answer, which is taken as a whole. ``score``: how well search found it, 0 to 1."""

    text: str
    headings: tuple[str, ...] = ()
    kind: Literal["prose", "list", "table", "code", "question"] = "prose"
    score: float = 1.0


@dataclass(frozen=True)
class Sentence:
    """A sentence of a source, or a piece that is said as a whole: an item, a table's row under its header, code.
    ``passage``: the source's number, from 1; ``position``: its place there, from 0."""

    text: str
    passage: int
    position: int


@dataclass(frozen=True)
class Composed:
    """An answer: its sentences in reading order, and how well they answer, 0 to 1: the share of what the question
    names, rare words counting most, that the chosen sentences and their headings have. Without sentences there is no
    answer in the sources."""

    sentences: list[Sentence]
    support: float

    @property
    def passages(self) -> list[int]:
        """Numbers of the sources that are quoted, in the order of the answer."""
        return list(dict.fromkeys(each.passage for each in self.sentences))


def sentences_of(passages: Sequence[Passage]) -> list[Sentence]:
    """What an answer may be made of, in the order of the passages: what vectors and reranker scores of `compose` are
    given for, row by row."""
    return [
        Sentence(text, number, position)
        for number, passage in enumerate(passages, start=1)
        for position, text in enumerate(_parts(passage))
    ]


def compose(
    question: str,
    passages: Sequence[Passage],
    *,
    focus: str = "",
    cosines: Scores | None = None,
    vectors: Scores | None = None,
    reranks: Scores | None = None,
    most: int = MOST_SENTENCES,
) -> Composed:
    """The sentences of the passages that answer the question.

    A sentence's score is the share of the question's words that it has (weighted by how rare they are in the passages;
    its headings count half), mixed with what a model says of it where that is given, times the passage's ``score``; a
    sentence next to a better one gains a part of its score. Chosen are the best until ``most``, each only if it is not
    said already and is worth half of the best. The order is that of the passages' scores and, in each, of its text.

    ``focus``: of a follow-up that was made to stand alone, what it says itself; these words count three times.

    Of `sentences_of(passages)`, a row each: ``cosines`` with the question, ``vectors`` of norm 1 (to see that two say
    the same), ``reranks`` from 0 to 1. Whether the answer is good enough to be given is the caller's decision, by
    ``support``.

    Raises ValueError when their rows are not as many as the sentences, or ``most`` is under 1.
    """
    if most < 1:
        raise ValueError(f"most={most}")
    candidates = sentences_of(passages)
    for name, given in (("cosines", cosines), ("vectors", vectors), ("reranks", reranks)):
        if given is not None and len(given) != len(candidates):
            raise ValueError(f"{len(given)} {name} for {len(candidates)} sentences")
    asked = set(content_terms(question))
    if not candidates or not asked:
        return Composed([], 0.0)
    # A table's row is said under its header, which tells no row from another.
    said = [frozenset(terms(each.text.rsplit("\n", 1)[-1])) if passages[each.passage - 1].kind == "table"
            else frozenset(terms(each.text)) for each in candidates]  # fmt: skip
    above = [frozenset(terms(" ".join([*each.headings, _header(each)]))) for each in passages]
    own = set(content_terms(focus))
    weights = {
        term: weight * (_FOCUS if term in own else 1.0)
        for term, weight in _rarity(asked, said).items()
    }
    words = _word_scores(candidates, said, above, weights)
    told = [np.clip(each, 0, 1) for each in (cosines, reranks) if each is not None]
    scores = _WORDS * words + (1 - _WORDS) * np.mean(told, axis=0) if told else words
    scores *= np.array([passages[each.passage - 1].score for each in candidates])
    scores += _NEIGHBOUR * _neighbours(candidates, scores)
    chosen = _choose(scores, said, vectors, most)
    if not chosen:
        return Composed([], 0.0)
    covered = frozenset[str]().union(
        *(said[at] | above[candidates[at].passage - 1] for at in chosen)
    )
    best = {number: max(scores[at] for at in chosen if candidates[at].passage == number)
            for number in {candidates[at].passage for at in chosen}}  # fmt: skip
    chosen.sort(key=lambda at: (-best[candidates[at].passage], at))
    return Composed([candidates[at] for at in chosen], _share(weights, covered))


def support(sentence: str, passages: Sequence[str]) -> float:
    """How much of what a sentence says one of the passages says as well, 0 to 1; for checking what a generator wrote
    against the sources it names.

    The share of its content words, long ones counting more, in the passage that has most of them. A figure or code
    that no passage has makes it 0: a wrong amount is worse than an unusual word. 1 for a sentence without content.
    """
    said = {term for term in terms(sentence) if not is_function_word(term)}
    if not said:
        return 1.0
    found = [frozenset(terms(passage)) for passage in passages]
    if not found or any(_exact(term) and not any(term in each for each in found) for term in said):
        return 0.0
    weights = {term: float(min(len(term), 4)) for term in said}
    return max(_share(weights, each) for each in found)


def _exact(term: str) -> bool:
    return any(character.isdigit() for character in term)


def _parts(passage: Passage) -> list[str]:
    """The pieces of a passage that make sense alone."""
    if passage.kind in ("question", "code"):
        return [passage.text] if passage.text.strip() else []
    if passage.kind == "table":
        header, *rows = [line for line in passage.text.splitlines() if line.strip()] or [""]
        return [f"{header}\n{row}" for row in rows] or ([header] if header else [])
    return sentences(passage.text)


def _header(passage: Passage) -> str:
    return passage.text.lstrip().split("\n", 1)[0] if passage.kind == "table" else ""


def _rarity(asked: set[str], said: Sequence[frozenset[str]]) -> dict[str, float]:
    """Weights of the question's terms: the fewer sentences have one, the more; a character counts less than a word."""
    counts = Counter(term for each in said for term in each & asked)
    total = len(said)
    return {
        term: math.log(1 + (total + 1) / (counts[term] + 0.5)) * (0.5 if _lone(term) else 1.0)
        for term in asked
    }


def _lone(term: str) -> bool:
    """A single Chinese character."""
    return len(term) == 1 and not term.isascii()


def _share(weights: dict[str, float], found: frozenset[str]) -> float:
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in found) / total


def _word_scores(
    candidates: Sequence[Sentence],
    said: Sequence[frozenset[str]],
    above: Sequence[frozenset[str]],
    weights: dict[str, float],
) -> npt.NDArray[np.float64]:
    """Shares of the question that the sentences have, alone and with what stands above them."""
    own = [_share(weights, each) for each in said]
    headed = [
        _share(weights, said[at] | above[each.passage - 1]) for at, each in enumerate(candidates)
    ]
    found: npt.NDArray[np.float64] = (np.array(own) + np.array(headed)) / 2
    return found


def _neighbours(
    candidates: Sequence[Sentence], scores: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Of each sentence, by how much a neighbour in its passage is better."""
    gains = np.zeros(len(scores))
    for at, (left, right) in enumerate(pairwise(candidates)):
        if left.passage == right.passage:
            gains[at] = max(gains[at], scores[at + 1] - scores[at])
            gains[at + 1] = max(gains[at + 1], scores[at] - scores[at + 1])
    return gains


def _choose(
    scores: npt.NDArray[np.float64],
    said: Sequence[frozenset[str]],
    vectors: Scores | None,
    most: int,
) -> list[int]:
    chosen: list[int] = []
    for at in np.argsort(-scores, kind="stable").tolist():
        if (
            scores[at] <= 0
            or len(chosen) == most
            or scores[at] < _WORTH * scores[chosen[0] if chosen else at]
        ):
            break
        if not any(_same(at, other, said, vectors) for other in chosen):
            chosen.append(at)
    return chosen


def _same(one: int, other: int, said: Sequence[frozenset[str]], vectors: Scores | None) -> bool:
    smaller = min(len(said[one]), len(said[other]))
    if smaller and len(said[one] & said[other]) / smaller >= _SAME:
        return True
    return vectors is not None and float(vectors[one] @ vectors[other]) >= _SAME_COSINE
