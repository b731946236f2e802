"""What a text is, before any model has seen it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from ml_core.text import (
    content_hash,
    detect_language,
    estimated_jaccard,
    lsh_bands,
    minhash_signature,
    near_duplicate,
    normalise,
)

__all__ = [
    "Reading",
    "estimated_jaccard",
    "near_duplicate",
    "read_text",
    "text_reading",
    "written_text",
]

# The models read no more than the beginning; the rest would only travel to be cut off.
READ_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is, before any model has seen it."""

    text: str
    language: str
    content_hash: bytes
    signature: bytes
    bands: list[int] = field(default_factory=list)
    # the title, a line feed and the body, as they were written
    raw: str = ""

    @property
    def has_words(self) -> bool:
        """Whether there is any letter or digit to read."""
        return bool(self.bands)

    def written(self, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Where stretches of `text` stand in `raw`."""
        if self.raw.startswith(self.text):
            return list(spans)
        places = _places(self.raw)
        last = len(places) - 1
        return [(places[min(start, last)], places[min(end - 1, last)] + 1) for start, end in spans]

    def read(self, written: tuple[int, int]) -> tuple[int, int] | None:
        """Where a stretch of `raw` stands in `text`; None when it is behind its end."""
        start, end = written
        if not self.raw.startswith(self.text):
            places = _places(self.raw)
            start, end = bisect_left(places, start), bisect_left(places, end)
        return (start, end) if start < end <= len(self.text) else None


def read_text(*, title: str, body: str, hint: str) -> Reading:
    """Language, keys for duplicates, and the text that models get.

    Exact duplicates are equal in title and body; near duplicates are looked for by the title.
    """
    text = normalise(f"{title}\n{body[:READ_CHARACTERS]}" if body else title)
    signature = minhash_signature(title)
    return Reading(
        text=text[:READ_CHARACTERS],
        language=detect_language(text, hint=hint or None),
        content_hash=content_hash(f"{title}\n{body}" if body else title),
        signature=signature.astype("<u4").tobytes(),
        bands=lsh_bands(signature),
        raw=written_text(title, body),
    )


def text_reading(title: str, body: str, language: str) -> Reading:
    """The text of a document that was read before, without what finds its duplicates."""
    text = normalise(f"{title}\n{body[:READ_CHARACTERS]}" if body else title)
    return Reading(
        text=text[:READ_CHARACTERS],
        language=language,
        content_hash=b"",
        signature=b"",
        raw=written_text(title, body),
    )


def written_text(title: str, body: str) -> str:
    """The text in whose characters places are counted: the title, a line feed and the body."""
    return f"{title}\n{body}" if body else title


def _places(raw: str) -> list[int]:
    """Of each character of the normal form of a text, where it was written."""
    places: list[int] = []
    space: int | None = None
    for place, character in enumerate(raw):
        if character.isspace():
            space = place if places and space is None else space
            continue
        width = len(normalise(character))
        if width and space is not None:
            places.append(space)
        if width:
            space = None
        places.extend([place] * width)
    return places or [0]
