"""Texts and names as they are compared, with the way back to the characters as they were written."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from ml_core.retrieval import fold_traditional
from ml_core.text import normalise

_PLAIN = str.maketrans({"‘": "'", "’": "'", "＇": "'", "–": "-", "—": "-", "‐": "-", "‑": "-"})


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text; its character ``i`` was written at ``places[i]``."""

    text: str
    places: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]`` was written."""
        return self.places[start], self.places[end - 1] + 1


def fold_text(text: str) -> Folded:
    """Case, width and Traditional characters folded; white space is one space, and none between Chinese.

    ``"萬  科Ａ"`` is ``"万科a"``. Invisible characters are left out.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return Folded(text.lower(), range(len(text)))
    kept: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character.isspace():
            if kept and kept[-1] != " ":
                kept.append(" ")
                places.append(place)
            continue
        folded = _fold_character(character)
        if (
            folded
            and len(kept) > 1
            and kept[-1] == " "
            and is_chinese(kept[-2])
            and is_chinese(folded[0])
        ):
            kept.pop()
            places.pop()
        kept.extend(folded)
        places.extend([place] * len(folded))
    return Folded("".join(kept), places)


def fold_name(name: str) -> str:
    """A name as `fold_text` writes it, without space around it."""
    return fold_text(name).text.strip()


def is_chinese(character: str) -> bool:
    """Whether it is an ideograph, of a script that puts no space between words."""
    return "㐀" <= character <= "鿿" or "豈" <= character <= "﫿" or "𠀀" <= character <= "𯨟"


def _fold_character(character: str) -> str:
    if character.isascii():
        return character.lower() if character.isprintable() else ""
    plain = unicodedata.normalize("NFKC", character.translate(_PLAIN))
    return fold_traditional(normalise(plain)).casefold()
