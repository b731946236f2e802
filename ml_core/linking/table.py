"""Finding every known name in a text at once, at places where it can be one.

Source: Aho and Corasick, "Efficient string matching", 1975. A search takes time proportional to the text, however
many names there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ahocorasick

from ml_core.linking.folding import Folded, fold_name, fold_text, is_chinese
from ml_core.linking.names import Name, spellings


@dataclass(frozen=True, slots=True)
class Found:
    """``text[start:end]`` can be each of ``names``, of one or several entities."""

    start: int
    end: int
    names: tuple[Name, ...]


class NameTable:
    """All names of all entities.

    A name of an alphabetic script is found as whole words only, so that "gold" is not in "Goldman";
    of overlapping names the longest counts. ``context`` has for each entity the words that speak for it.
    """

    def __init__(
        self, names: Iterable[Name], context: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        by_form: dict[str, list[Name]] = {}
        for name in names:
            for spelling in spellings(name):
                form = fold_name(spelling.text)
                known = by_form.setdefault(form, []) if form else []
                if all(
                    (each.entity, each.valid_from, each.valid_until)
                    != (spelling.entity, spelling.valid_from, spelling.valid_until)
                    for each in known
                ):
                    known.append(spelling)
        self._automaton: Any = ahocorasick.Automaton()
        for form, bearers in by_form.items():
            self._automaton.add_word(form, (len(form), tuple(bearers)))
        self._automaton.make_automaton()
        self._size = len(by_form)
        self.context = {
            entity: tuple(fold_name(word) for word in words)
            for entity, words in (context or {}).items()
        }

    def __len__(self) -> int:
        """How many different names there are."""
        return self._size

    def find(self, text: str | Folded, *, on: date | None = None) -> list[Found]:
        """The names in a text from left to right, none overlapping; only those that held ``on`` that day.

        Places are those of the text as it was written.
        """
        folded = fold_text(text) if isinstance(text, str) else text
        if not self._size:
            return []
        hits: list[tuple[int, int, tuple[Name, ...]]] = []
        for last, (length, bearers) in self._automaton.iter(folded.text):
            start, end = last - length + 1, last + 1
            if is_whole(folded.text, start, end):
                holding = tuple(name for name in bearers if name.holds(on))
                if holding:
                    hits.append((start, end, holding))
        return [
            Found(*folded.span(start, end), names) for start, end, names in _without_overlap(hits)
        ]


def is_whole(text: str, start: int, end: int) -> bool:
    """Whether no word goes on over the ends of ``text[start:end]``."""
    return not (
        (start > 0 and _joined(text[start - 1], text[start]))
        or (end < len(text) and _joined(text[end - 1], text[end]))
    )


def _joined(left: str, right: str) -> bool:
    return left.isalnum() and right.isalnum() and not is_chinese(left) and not is_chinese(right)


def _without_overlap(
    hits: list[tuple[int, int, tuple[Name, ...]]],
) -> list[tuple[int, int, tuple[Name, ...]]]:
    """The longest first; what overlaps a longer one is part of another name."""
    taken: list[tuple[int, int, tuple[Name, ...]]] = []
    for hit in sorted(hits, key=lambda hit: (hit[0] - hit[1], hit[0])):
        if all(hit[1] <= start or end <= hit[0] for start, end, _names in taken):
            taken.append(hit)
    return sorted(taken, key=lambda hit: hit[0])
