"""Pairs that say the same in other words, or answer the same, are one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from apps.customer_service.inference.text import alike_bands, are_alike
from apps.customer_service.services.answering.matching import same_words, word_overlap
from apps.customer_service.services.learning.pairs import Pair, score_of

MOST_VARIANTS: Final = 20
# Of those that share a band so many neighbours are compared: more are alike through one another.
_NEIGHBOURS: Final = 8
# Share of the words that the answers to two like questions have in common at least.
LEAST_OVERLAP: Final = 0.3


@dataclass(frozen=True, slots=True)
class Group:
    """Pairs of one kind, the best first."""

    pairs: Sequence[Pair]

    @property
    def best(self) -> Pair:
        """The one whose reply stands for all."""
        return self.pairs[0]

    @property
    def question(self) -> str:
        """The briefest way in which it was asked."""
        return min((pair.question for pair in self.pairs), key=len)

    @property
    def support(self) -> int:
        """In how many dialogues it was found."""
        return len({pair.dialogue for pair in self.pairs})

    @property
    def score(self) -> float:
        """0 to 1."""
        return score_of(self.best.weight, self.support)

    @property
    def variants(self) -> list[str]:
        """Other ways in which it was asked."""
        asked = dict.fromkeys(pair.question for pair in self.pairs)
        return [text for text in asked if text != self.question][:MOST_VARIANTS]

    @property
    def digests(self) -> list[str]:
        """Of all its pairs: what was decided of one of them holds for all."""
        return [pair.digest for pair in self.pairs]

    @property
    def intent(self) -> str:
        """The intent that most of the dialogues were given; "" where none was."""
        given = [pair.intent for pair in self.pairs if pair.intent]
        return max(dict.fromkeys(given), key=given.count) if given else ""


def groups_of(pairs: Sequence[Pair], check: Callable[[], None] = lambda: None) -> list[Group]:
    """Pairs of one language that were given one intent, were asked nearly alike or answered nearly alike.

    Pairs of different intents stay apart: people have said that they are different things. `check` is called now and
    then, and may raise.
    """
    kinds = _Kinds(pairs)
    by_intent: defaultdict[Hashable, list[int]] = defaultdict(list)
    by_question: defaultdict[Hashable, list[int]] = defaultdict(list)
    by_reply: defaultdict[Hashable, list[int]] = defaultdict(list)
    for at, pair in enumerate(pairs):
        if at % 100 == 0:
            check()
        if pair.intent:
            by_intent[pair.language, pair.intent].append(at)
        for near, text in ((by_question, pair.question), (by_reply, pair.reply)):
            for band in alike_bands(text):
                near[pair.language, band].append(at)
    for same in by_intent.values():
        for at in same[1:]:
            kinds.join(same[0], at)
    for near, alike in ((by_question, _asked_alike), (by_reply, _answered_alike)):
        for number, same in enumerate(near.values()):
            if number % 100 == 0:
                check()
            kinds.join_alike(same, alike)
    return kinds.groups()


class _Kinds:
    """Which pairs are of one kind: sets that are joined, each with the intent that its pairs were given."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        self._parents = list(range(len(pairs)))
        self._intents = [pair.intent for pair in pairs]

    def join(self, one: int, other: int) -> None:
        """Make one of two kinds, unless their intents differ."""
        first, second = sorted((self._root(one), self._root(other)))
        intents = {self._intents[first], self._intents[second]} - {""}
        if len(intents) < 2:
            self._parents[second] = first
            self._intents[first] = "".join(intents)

    def join_alike(self, places: Sequence[int], alike: Callable[[Pair, Pair], bool]) -> None:
        """Join those of the places that are alike."""
        for number, at in enumerate(places):
            for other in places[number + 1 : number + 1 + _NEIGHBOURS]:
                if self._root(at) != self._root(other) and alike(
                    self._pairs[at], self._pairs[other]
                ):
                    self.join(at, other)

    def groups(self) -> list[Group]:
        """The kinds, in the order of their first pairs."""
        found: defaultdict[int, list[Pair]] = defaultdict(list)
        for at, pair in enumerate(self._pairs):
            found[self._root(at)].append(pair)
        return [Group(sorted(each, key=_rank)) for each in found.values()]

    def _root(self, at: int) -> int:
        while self._parents[at] != at:
            self._parents[at] = self._parents[self._parents[at]]
            at = self._parents[at]
        return at


def _asked_alike(one: Pair, other: Pair) -> bool:
    """The same question; one that is only alike ("My order is late. Where …?") must have got a like answer."""
    if same_words(one.question, other.question):
        return True
    return (
        are_alike(one.question, other.question)
        and word_overlap(one.reply, other.reply) >= LEAST_OVERLAP
    )


def _answered_alike(one: Pair, other: Pair) -> bool:
    return are_alike(one.reply, other.reply)


def _rank(pair: Pair) -> tuple[float, int, str]:
    """The best first; of equals the one that is asked most briefly."""
    return -pair.weight, len(pair.question), pair.question
