"""Find many fixed phrases in a text: a trie over characters, leftmost-longest matches.

Case and width do not count ("ＡＰＰＬＥ" is "apple"), and a phrase of an alphabetic language is found
only as whole words, while Chinese has no word boundaries to respect.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import NamedTuple


class PhraseMatch(NamedTuple):
    """``text[start:end]`` is the phrase with number ``phrase``."""

    start: int
    end: int
    phrase: int


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    # Of phrases that are equal but for case, width and spaces.
    phrases: list[int] = field(default_factory=list)


class PhraseMatcher:
    """All of ``phrases`` at once; a match names a phrase by its place in that sequence.

    Of equal phrases the first counts. A search takes time proportional to the text times the
    longest phrase, however many phrases there are. Raises ValueError for an empty phrase.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._root = _Node()
        for number, phrase in enumerate(phrases):
            folded = fold(" ".join(phrase.split()))
            if not folded:
                raise ValueError(f"phrase {number + 1} is empty")
            node = self._root
            for character in folded:
                node = node.children.setdefault(character, _Node())
            node.phrases.append(number)

    def find(self, text: str, *, boundaries: Set[int] | None = None) -> list[PhraseMatch]:
        """Matches from left to right, the longest at each place, none overlapping.

        With ``boundaries`` a match begins and ends at those places, instead of at those of words.
        """
        folded = fold(text)
        matches: list[PhraseMatch] = []
        at = 0
        while at < len(folded):
            match = self._longest(folded, at, boundaries)
            if match is None:
                at += 1
            else:
                matches.append(match)
                at = match.end
        return matches

    def occurring(self, text: str) -> set[int]:
        """The numbers of all phrases that occur in ``text``, inside or across others too."""
        folded = fold(text)
        return {
            phrase
            for start in range(len(folded))
            for _, phrases in self._at(folded, start, None)
            for phrase in phrases
        }

    def _longest(self, folded: str, start: int, boundaries: Set[int] | None) -> PhraseMatch | None:
        best: PhraseMatch | None = None
        for end, phrases in self._at(folded, start, boundaries):
            best = PhraseMatch(start, end, phrases[0])
        return best

    def _at(
        self, folded: str, start: int, boundaries: Set[int] | None
    ) -> Iterator[tuple[int, list[int]]]:
        """(end, phrases) of all phrases that begin at ``start``, the shortest first."""
        node: _Node | None = self._root.children.get(folded[start])
        if node is None or not _boundary(folded, start, boundaries):
            return
        end = start + 1
        while node is not None:
            if node.phrases and _boundary(folded, end, boundaries):
                yield end, node.phrases
            if end == len(folded):
                return
            node = node.children.get(folded[end])
            end += 1


def fold(text: str) -> str:
    """``text`` without case and width, of the same length, so that places stay valid."""
    return "".join(map(_fold_character, text))


def is_east_asian(character: str) -> bool:
    """Whether the character is of a script that is written without spaces."""
    code = ord(character)
    return (
        0x3041 <= code <= 0x30FF
        or 0x3400 <= code <= 0x4DBF
        or 0x4E00 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFF
    )


@functools.lru_cache(maxsize=65536)
def _fold_character(character: str) -> str:
    if character.isspace():
        return " "
    folded = unicodedata.normalize("NFKC", character).casefold()
    return folded if len(folded) == 1 else character


def _boundary(folded: str, at: int, boundaries: Set[int] | None) -> bool:
    """Whether a phrase may begin or end between ``folded[at - 1]`` and ``folded[at]``."""
    if boundaries is not None:
        return at in boundaries
    if at in (0, len(folded)):
        return True
    left, right = folded[at - 1], folded[at]
    if not (left.isalnum() and right.isalnum()):
        return True
    return is_east_asian(left) or is_east_asian(right)
