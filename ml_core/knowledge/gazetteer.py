"""Known names of entities: hints for token classification, tags for unlabelled sentences, and a
guide of predictions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, Self

import numpy as np

from ml_core.evaluation.tags import Span, bio_tags, entity_spans
from ml_core.knowledge.bias import Biases, fit_weights
from ml_core.knowledge.phrases import PhraseMatcher, fold
from ml_core.knowledge.rules import Entry, RuleError


@dataclass(frozen=True)
class TypeReport:
    """What the entries of one type do on tagged sentences.

    ``found`` mentions by the gazetteer, of which ``right`` are mentions of that type and extent in
    the truth; ``precision`` and ``recall`` follow (None where undefined). ``weight`` is the bias on
    the hinted tags, ``changed`` the number of tokens whose tag it changes.
    """

    type: str
    weight: float
    found: int
    right: int
    precision: float | None
    recall: float | None
    changed: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Gazetteer:
    """Finds entries in token sequences: whole tokens, the longest name at each place.

    Case, width and spaces do not count, so that the same entry is found in sentences cut into words
    and in Chinese cut into characters. Raises RuleError for a surface of two types.
    """

    def __init__(self, entries: Collection[Entry]) -> None:
        clash = conflicting(entries)
        if clash is not None:
            first, second = clash
            raise RuleError(f"{first.surface!r} is given as {first.type} and as {second.type}")
        self.entries = tuple(entries)
        self.types = tuple(sorted({entry.type for entry in entries}))
        self._matcher = PhraseMatcher(_key(entry.surface) for entry in self.entries)

    def mentions(self, tokens: Sequence[str]) -> list[Span]:
        """(type, first token, token after the last) of each entry found, from left to right."""
        compact = ["".join(token.split()) for token in tokens]
        starts = [0, *accumulate(len(token) for token in compact)]
        # An empty token begins and ends where its neighbours do, and belongs to no name.
        first = {start: number for number, start in enumerate(starts)}
        last = {start: number for number, start in reversed(list(enumerate(starts)))}
        found = self._matcher.find("".join(compact), boundaries=first.keys())
        return [
            (self.entries[match.phrase].type, first[match.start], last[match.end])
            for match in found
        ]

    def hints(self, tokens: Sequence[str]) -> list[str]:
        """A BIO tag for each token: what the gazetteer alone would say."""
        return bio_tags(self.mentions(tokens), len(tokens))

    def features(self, tokens: Sequence[str]) -> np.ndarray:
        """The hints as numbers: float32 of shape (tokens, 2 · types), a column for B- and one for
        I- of each type in the order of ``types``."""
        columns = {
            tag: number
            for number, tag in enumerate(
                f"{mark}-{kind}" for kind in self.types for mark in ("B", "I")
            )
        }
        values = np.zeros((len(tokens), len(columns)), dtype=np.float32)
        for row, hint in enumerate(self.hints(tokens)):
            if hint != "O":
                values[row, columns[hint]] = 1.0
        return values

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[tuple[int, list[str], list[str]]]:
        """(place, tokens, tags) of the sentences with an entry in them: weak training rows.

        Names that the gazetteer lacks are tagged O in them; give these rows less weight.
        """
        tagged = (
            (place, list(tokens), self.hints(tokens)) for place, tokens in enumerate(sentences)
        )
        return [row for row in tagged if any(tag != "O" for tag in row[2])]


class GazetteerGuide:
    """Adds to the logits of the hinted tags what entries of that type are worth.

    ``tags`` are in the order of the model's logits. Types without tags in the model are left out of
    account. Worth nothing until `fit`.
    """

    def __init__(
        self,
        gazetteer: Gazetteer,
        tags: Sequence[str],
        *,
        weights: dict[str, float] | None = None,
    ) -> None:
        self.gazetteer = gazetteer
        self.tags = tuple(tags)
        self._column = {tag: number for number, tag in enumerate(self.tags)}
        self.types = tuple(kind for kind in gazetteer.types if f"B-{kind}" in self._column)
        known = weights or {}
        self.weights = np.array([known.get(kind, 0.0) for kind in self.types])

    def fit(
        self,
        sentences: Sequence[Sequence[str]],
        truth: Sequence[Sequence[str]],
        logits: Sequence[np.ndarray],
    ) -> Self:
        """Find the weight of each type on tagged sentences that were not trained on.

        ``logits`` holds an array of shape (tokens, tags) for each sentence. Returns self.
        """
        self._check(sentences, logits)
        stacked = np.concatenate(list(logits)) if logits else np.zeros((0, len(self.tags)))
        answers = np.array([self._column[tag] for tags in truth for tag in tags], dtype=int)
        if len(answers) != len(stacked):
            raise ValueError(f"{len(answers)} tags for {len(stacked)} tokens")
        offsets = [0, *accumulate(len(tokens) for tokens in sentences)]
        parts = [self._biases(tokens) for tokens in sentences]
        biases = Biases(
            np.concatenate([part.rows + at for part, at in zip(parts, offsets, strict=False)]),
            np.concatenate([part.columns for part in parts]),
            np.concatenate([part.parameters for part in parts]),
        )
        self.weights = fit_weights(stacked, answers, biases, count=len(self.types))
        return self

    def adjust(self, logits: np.ndarray, tokens: Sequence[str]) -> np.ndarray:
        """``logits`` (tokens, tags) of one sentence with the biases; float64, the input unchanged."""
        self._check([tokens], [logits])
        return self._biases(tokens).add(logits, self.weights)

    def report(
        self,
        sentences: Sequence[Sequence[str]],
        truth: Sequence[Sequence[str]],
        logits: Sequence[np.ndarray],
    ) -> list[TypeReport]:
        """What the entries of each type do on tagged sentences."""
        self._check(sentences, logits)
        counts = {kind: [0, 0, 0, 0] for kind in self.types}
        for tokens, tags, scores in zip(sentences, truth, logits, strict=True):
            wanted = set(entity_spans(tags))
            changed = self.adjust(scores, tokens).argmax(1) != scores.argmax(1)
            for kind, _, _ in wanted:
                if kind in counts:
                    counts[kind][2] += 1
            for mention in self.gazetteer.mentions(tokens):
                kind, start, end = mention
                if kind in counts:
                    counts[kind][0] += 1
                    counts[kind][1] += mention in wanted
                    counts[kind][3] += int(changed[start:end].sum())
        return [
            TypeReport(
                type=kind,
                weight=float(weight),
                found=found,
                right=right,
                precision=right / found if found else None,
                recall=right / true if true else None,
                changed=changed_tokens,
            )
            for (kind, (found, right, true, changed_tokens)), weight in zip(
                counts.items(), self.weights, strict=True
            )
        ]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON, to be kept with the model."""
        return {
            "entries": [[entry.surface, entry.type] for entry in self.gazetteer.entries],
            "tags": list(self.tags),
            "weights": dict(zip(self.types, map(float, self.weights), strict=True)),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        entries = [Entry(surface, kind) for surface, kind in values["entries"]]
        return cls(Gazetteer(entries), values["tags"], weights=values["weights"])

    def _biases(self, tokens: Sequence[str]) -> Biases:
        rows: list[int] = []
        columns: list[int] = []
        parameters: list[int] = []
        for kind, start, end in self.gazetteer.mentions(tokens):
            if kind not in self.types:
                continue
            for token in range(start, end):
                tag = f"B-{kind}" if token == start else f"I-{kind}"
                if tag in self._column:
                    rows.append(token)
                    columns.append(self._column[tag])
                    parameters.append(self.types.index(kind))
        return Biases(
            np.array(rows, dtype=int), np.array(columns, dtype=int), np.array(parameters, dtype=int)
        )

    def _check(self, sentences: Sequence[Sequence[str]], logits: Sequence[np.ndarray]) -> None:
        for number, (tokens, scores) in enumerate(zip(sentences, logits, strict=True), start=1):
            if scores.shape != (len(tokens), len(self.tags)):
                raise ValueError(
                    f"sentence {number}: logits have the shape {scores.shape}; {len(tokens)} tokens "
                    f"and {len(self.tags)} tags are given"
                )


def conflicting(entries: Collection[Entry]) -> tuple[Entry, Entry] | None:
    """The first two entries of one surface and different types."""
    first: dict[str, Entry] = {}
    for entry in entries:
        known = first.setdefault(_key(entry.surface), entry)
        if known.type != entry.type:
            return known, entry
    return None


def _key(surface: str) -> str:
    return fold("".join(surface.split()))
