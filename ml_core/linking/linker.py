"""Deciding who is meant by a name: what the text around it says for and against each bearer.

Every name starts with what it is worth alone, one minus its ambiguity. What speaks for a bearer takes away a part
of the doubt that is left, as independent evidence does (noisy or); what speaks against it multiplies the score.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from ml_core.linking.folding import Folded, fold_text, is_chinese
from ml_core.linking.names import Name
from ml_core.linking.table import Found, NameTable
from ml_core.text.segmentation import cut_chinese

Decision = Literal["linked", "review"]

# From which score a name is linked, and from which a person is asked; below that it is no mention.
LINKED: Final = 0.6
DOUBTFUL: Final = 0.3
# The best bearer must be ahead of the next by this.
MARGIN: Final = 0.15

# How much of the doubt each kind of evidence takes away.
_FOR_ANOTHER_NAME: Final = 0.9
_FOR_MARKET: Final = 0.95
_FOR_LEGAL_FORM: Final = 0.7
_FOR_CONTEXT_WORD: Final = 0.5
_FOR_TAGGER: Final = 0.6
_FOR_FINANCE: Final = 0.4
# What is left of the score where something speaks against a name.
_LOWER_CASE: Final = 0.25
_CUT_WORD: Final = 0.3
_BARE_CODE: Final = 0.5

_MARKET_BEFORE = re.compile(
    r"(?:\$|(?:nasdaq|nyse|nyse american|amex|lse|hkex|hkg|sehk|sse|szse|bse|nse|tse|otc|ticker|"
    r"股票代码|证券代码|代码)\s*[:：]\s*)$"
)
_PARENTHESIS = re.compile(r"[(（[]\s*$")
_LEGAL_AFTER = re.compile(
    r"^(?:,?\s*(?:inc|corp|corporation|ltd|limited|plc|ag|holdings|group|co)\b|公司|集团|股份|控股|科技|银行|证券)"
)
# Words of the business pages around a name: a gold price does not issue shares.
_FINANCE = re.compile(
    r"\b(?:shares?|stock|quarter|profits?|revenues?|earnings|ceo|cfo|chairman|board|dividend|stake|acquires?|"
    r"acquisition|ipo|investors?|analysts?|upgrades?|downgrades?|net|q[1-4]|results?)\b"
    r"|股价|股票|涨停|跌停|营收|净利|业绩|财报|董事|股东|增持|减持|回购|收购|上市|公告|公司"
)
_NEAR: Final = 80


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bearer of a name, and how sure it is that the text means it, from 0 to 1."""

    entity: str
    score: float


@dataclass(frozen=True, slots=True)
class Link:
    """``text[start:end]`` names the first of the candidates, or a person has to decide among them."""

    start: int
    end: int
    surface: str
    decision: Decision
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class TaggedSpan:
    """What a tagger says of ``text[start:end]``: the type of entity, and how sure it is."""

    start: int
    end: int
    label: str
    score: float


class Linker:
    """Finds and decides, with one table of names."""

    def __init__(self, table: NameTable) -> None:
        self.table = table

    def link(
        self, text: str, *, on: date | None = None, tagged: Sequence[TaggedSpan] = ()
    ) -> list[Link]:
        """Who is named where in a text, from left to right; names that hardly mean anybody are left out.

        ``on`` is the day of the text: names that did not hold then are not looked for. What a tagger
        found at the place of a name speaks for it.
        """
        folded = fold_text(text)
        found = self.table.find(folded, on=on)
        if not found:
            return []
        reading = _Reading(text, folded, found, self.table.context, tagged)
        links = []
        for place in found:
            candidates = reading.candidates(place)
            best = candidates[0].score
            if best < DOUBTFUL:
                continue
            clear = len(candidates) == 1 or best - candidates[1].score >= MARGIN
            decision: Decision = "linked" if best >= LINKED and clear else "review"
            links.append(
                Link(place.start, place.end, text[place.start : place.end], decision, candidates)
            )
        return links


class _Reading:
    """One text with its names, and what speaks for and against each."""

    def __init__(
        self,
        text: str,
        folded: Folded,
        found: Sequence[Found],
        context: Mapping[str, Sequence[str]],
        tagged: Sequence[TaggedSpan],
    ) -> None:
        self._text = text
        self._folded = folded.text
        self._context = context
        self._tagged = tagged
        self._cuts: set[int] | None = None
        self._clear: dict[str, set[str]] = defaultdict(set)
        for place in found:
            for name in place.names:
                if self._is_clear(name, place):
                    self._clear[name.entity].add(text[place.start : place.end].casefold())

    def _is_clear(self, name: Name, place: Found) -> bool:
        """Whether this name says by itself who is meant, so that it explains the other names."""
        return (
            name.kind == "full"
            or name.ambiguity < 1 - LINKED
            or (name.kind == "ticker" and _MARKET_BEFORE.search(self._before(place)) is not None)
        )

    def _before(self, place: Found) -> str:
        return self._text[max(0, place.start - _NEAR) : place.start].casefold()

    def candidates(self, place: Found) -> tuple[Candidate, ...]:
        """The bearers of the name at a place, the most likely first."""
        scores: dict[str, float] = {}
        for name in place.names:
            score = self._score(name, place)
            scores[name.entity] = max(score, scores.get(name.entity, 0.0))
        ranked = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
        return tuple(Candidate(entity, round(score, 3)) for entity, score in ranked)

    def _score(self, name: Name, place: Found) -> float:
        doubt = name.ambiguity
        for evidence in self._for(name, place):
            doubt *= 1 - evidence
        return (1 - doubt) * self._against(name, place)

    def _for(self, name: Name, place: Found) -> list[float]:
        surface = self._text[place.start : place.end].casefold()
        before = self._before(place)
        after = self._text[place.end : place.end + _NEAR].casefold()
        found = []
        if self._clear[name.entity] - {surface}:
            found.append(_FOR_ANOTHER_NAME)
        if name.kind == "ticker" and _MARKET_BEFORE.search(before):
            found.append(_FOR_MARKET)
        if name.kind == "ticker" and _PARENTHESIS.search(before) and after[:1] in {")", "）", "]"}:
            found.append(_FOR_LEGAL_FORM)
        if name.kind != "ticker" and _LEGAL_AFTER.match(after):
            found.append(_FOR_LEGAL_FORM)
        words = sum(word in self._folded for word in self._context.get(name.entity, ()))
        found += [_FOR_CONTEXT_WORD] * min(words, 3)
        if any(span.start < place.end and place.start < span.end for span in self._tagged):
            found.append(_FOR_TAGGER)
        if _FINANCE.search(before) or _FINANCE.search(after):
            found.append(_FOR_FINANCE)
        return found

    def _against(self, name: Name, place: Found) -> float:
        surface = self._text[place.start : place.end]
        if name.kind == "ticker":
            return self._against_ticker(name, place, surface)
        if (
            name.text != name.text.lower()
            and surface == surface.lower()
            and surface != surface.upper()
        ):
            return _LOWER_CASE
        if len(surface) <= 4 and is_chinese(surface[0]) and self._cuts_a_word(place):
            return _CUT_WORD
        return 1.0

    def _against_ticker(self, name: Name, place: Found, surface: str) -> float:
        if surface != surface.upper():
            return _LOWER_CASE
        before = self._before(place)
        bare = name.text.isdigit() and not (
            _MARKET_BEFORE.search(before) or _PARENTHESIS.search(before)
        )
        return _BARE_CODE if bare else 1.0

    def _cuts_a_word(self, place: Found) -> bool:
        """Whether a longer Chinese word goes on over an end of the name."""
        if self._cuts is None:
            self._cuts, at = {0}, 0
            for word in cut_chinese(self._text):
                at += len(word)
                self._cuts.add(at)
        return place.start not in self._cuts or place.end not in self._cuts
