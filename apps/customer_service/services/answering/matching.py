"""How sure it is that a prepared answer's question asks the same as the visitor.

A logistic function of what can be measured of the two texts and their neighbours. The weights are fitted on the 870
English phrasings of the demonstration's prepared answers with the packaged model, each asked among all others, and
again, counted as three of ten questions, without its own answer: of what has 0.8 and more, 87 % were right. Those for
words alone come from its 698 Chinese phrasings in the same way, and are never sure: only the same words are. An
organisation's own weights, where there are any, stand in its retrieval report under "match"; its threshold is chosen by
the tuning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from apps.customer_service.inference.composing import content_terms
from apps.customer_service.inference.text import normal

_MARKS = " ?？!！.。,，;；:：、~～"


# By how much the next answer is farther away says no more beyond this; with few answers, it says too much.
_FARTHEST = 0.2


@dataclass(frozen=True)
class Likeness:
    """What is measured: `cosine` of the texts, `overlap` of their words, by how much the next answer is less near
    (`margin`), and what the intent model says of this answer against any other (`agreement`, -1 to 1)."""

    cosine: float
    overlap: float
    margin: float
    agreement: float


@dataclass(frozen=True)
class Weights:
    """Of the logistic function. That of `agreement` is set by hand."""

    bias: float = -5.2
    cosine: float = 5.8
    overlap: float = 0.0
    margin: float = 11.7
    agreement: float = 2.0

    @classmethod
    def from_json(cls, raw: dict[str, float]) -> Weights:
        """From a row; what is not there is as usual."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: float(value) for name, value in raw.items() if name in known})


# Where no model reads the language.
WORDS_ALONE = Weights(bias=-3.6, cosine=0.0, overlap=3.3, margin=4.3)


@dataclass(frozen=True)
class Neighbour:
    """A prepared answer's question that was found. `score` is what it ranks by."""

    answer: str
    intent: str
    text: str
    score: float
    cosine: float | None


def match(
    asked: str, found: Sequence[Neighbour], *, intent: str, probability: float, weights: Weights
) -> float:
    """How sure it is that the first that was found asks the same. `intent` with its `probability` is the intent model's
    word; empty where there is none."""
    best = found[0]
    if same_words(asked, best.text):
        return 1.0
    others = [each for each in found[1:] if each.answer != best.answer]
    agreement = probability if intent == best.intent else -probability
    likeness = Likeness(
        cosine=best.cosine or 0.0,
        overlap=word_overlap(asked, best.text),
        margin=min(_FARTHEST, best.score - (others[0].score if others else 0.0)),
        agreement=agreement if intent else 0.0,
    )
    return match_probability(likeness, WORDS_ALONE if best.cosine is None else weights)


def match_probability(likeness: Likeness, weights: Weights) -> float:
    """How sure it is that the two ask the same, 0 to 1; as good as the weights are."""
    total = (
        weights.bias
        + weights.cosine * likeness.cosine
        + weights.overlap * likeness.overlap
        + weights.margin * likeness.margin
        + weights.agreement * likeness.agreement
    )
    return 1 / (1 + math.exp(-total))


def word_overlap(one: str, other: str) -> float:
    """Share of the words that two texts have in common (Dice), 0 to 1."""
    mine, theirs = set(content_terms(one)), set(content_terms(other))
    return 2 * len(mine & theirs) / (len(mine) + len(theirs)) if mine and theirs else 0.0


def same_words(one: str, other: str) -> bool:
    """Whether two texts are the same but for case, width and marks."""
    return normal(one).strip(_MARKS) == normal(other).strip(_MARKS)
