"""BIO tags: which may follow which, and the best allowed sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ml_core.evaluation.tags import Span

OUTSIDE = "O"


def bio_labels(kinds: Iterable[str]) -> tuple[str, ...]:
    """The tags for entities of these types, sorted: O, and B- and I- of each."""
    return tuple(sorted({OUTSIDE, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")}))


def entity_kinds(labels: Iterable[str]) -> tuple[str, ...]:
    """The types that BIO tags are about, sorted."""
    return tuple(sorted({label.partition("-")[2] for label in labels if label != OUTSIDE}))


class BioDecoder:
    """Finds the most probable tag sequence in which no I-X follows anything but B-X or I-X (Viterbi 1967; the
    transition constraints of BIO decoding as in Collobert et al. 2011, with nothing learned about transitions)."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        inside = [label.partition("-")[2] if label[:2] == "I-" else "" for label in labels]
        of = [label.partition("-")[2] for label in labels]
        # Row: the tag before, column: the tag behind it.
        self._allowed = np.array(
            [[not kind or kind == before for kind in inside] for before in of], dtype=bool
        )
        self._may_begin = np.array([not kind for kind in inside], dtype=bool)
        self._cost = np.where(self._allowed, 0.0, -np.inf)

    def best(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Label numbers (words,) of the best allowed sequence, from log probabilities (words, labels)."""
        guess: np.ndarray = log_probabilities.argmax(1)
        if self._is_allowed(guess):
            return guess
        score = np.where(self._may_begin, log_probabilities[0], -np.inf)
        back = np.zeros(log_probabilities.shape, dtype=np.intp)
        for place in range(1, len(log_probabilities)):
            paths = score[:, None] + self._cost
            back[place] = paths.argmax(0)
            score = paths.max(0) + log_probabilities[place]
        best = np.empty(len(log_probabilities), dtype=np.intp)
        best[-1] = score.argmax()
        for place in range(len(best) - 1, 0, -1):
            best[place - 1] = back[place, best[place]]
        return best

    def tags(self, log_probabilities: np.ndarray) -> list[str]:
        """The names of `best`."""
        return [self.labels[number] for number in self.best(log_probabilities)]

    def span_probability(self, span: Span, probabilities: np.ndarray) -> float:
        """How likely exactly these words are the entity, by the words' own probabilities (words, labels):
        P(B-X) · Π P(I-X) · (1 − P(I-X) of the word behind it)."""
        kind, start, end = span
        begin, inside = self.labels.index(f"B-{kind}"), self.labels.index(f"I-{kind}")
        value = probabilities[start, begin] * probabilities[start + 1 : end, inside].prod()
        if end < len(probabilities):
            value *= 1 - probabilities[end, inside]
        return float(value)

    def _is_allowed(self, sequence: np.ndarray) -> bool:
        return bool(
            self._may_begin[sequence[0]] and self._allowed[sequence[:-1], sequence[1:]].all()
        )
