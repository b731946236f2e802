"""A judgement of stretches of a text: which tokens a stretch is, and the model that labels it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

# No text needs more characters for a token; beyond, a megabyte of one word would cost the tokenizer seconds.
_CHARACTERS_PER_TOKEN = 64
# Windows' worth of a text that is read at all.
_MOST_WINDOWS = 32
# How a text is framed by special tokens is seen by one that has a piece in every vocabulary.
_SAMPLE = "?"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SpanWindow:
    """A part of a text that the encoder reads at once.

    ``ids`` are its pieces with the special tokens around them. It speaks for ``spans`` (places in the list that was
    asked about), whose pieces are ``ids[first:end]`` of ``ranges``; the rest is there to be seen.
    """

    ids: list[int]
    spans: list[int]
    ranges: list[Span]


class SpanEncoder:
    """Reads texts with spans of characters into windows of at most ``max_length`` pieces, special tokens included.

    The first window is what a classifier of the same ``max_length`` reads of the text, so that both can share one pass;
    a span that lies behind it is read in a window of which it is the middle, together with its neighbours that fit. Of
    a span longer than a window the beginning is read. Thread-safe.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_length: int) -> None:
        # A copy: the settings of the one that is handed in belong to others.
        own: Tokenizer = Tokenizer.from_str(tokenizer.to_str())
        own.no_padding()
        own.no_truncation()
        framed = own.encode(_SAMPLE)
        inner = [place for place, special in enumerate(framed.special_tokens_mask) if not special]
        if not inner:
            raise ValueError(f"the tokenizer has no piece for {_SAMPLE!r}")
        self._tokenizer = own
        self._before: list[int] = framed.ids[: inner[0]]
        self._after: list[int] = framed.ids[inner[-1] + 1 :]
        self._room = max_length - len(self._before) - len(self._after)
        self._most_characters = max_length * _CHARACTERS_PER_TOKEN * _MOST_WINDOWS

    @classmethod
    def from_file(cls, path: Path, *, max_length: int) -> Self:
        return cls(Tokenizer.from_file(str(path)), max_length=max_length)

    def __call__(
        self, texts: Sequence[str], spans: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[SpanWindow]]:
        """The windows of each text; each of its spans is spoken for by exactly one of them."""
        cut = [text[: self._most_characters] for text in texts]
        encodings = self._tokenizer.encode_batch(cut, add_special_tokens=False)
        return [
            self._windows(encoding.ids, encoding.offsets, own)
            for encoding, own in zip(encodings, spans, strict=True)
        ]

    def _windows(
        self, ids: list[int], offsets: list[Span], spans: Sequence[Sequence[int]]
    ) -> list[SpanWindow]:
        room = self._room
        pieces = [_pieces(offsets, start, end) for start, end in spans]
        # Where each window begins, and which spans it speaks for.
        begins: list[tuple[int, list[int]]] = [(0, [])]
        for place in sorted(range(len(pieces)), key=pieces.__getitem__):
            first, end = pieces[place]
            known = next(
                (own for begin, own in begins if begin <= first and end <= begin + room), None
            )
            if known is None:
                middle = (first + min(end, first + room)) // 2
                begin = max(0, min(middle - room // 2, len(ids) - room, first))
                begins.append((begin, known := []))
            known.append(place)
        return [
            self._window(ids[begin : begin + room], begin, own, pieces)
            for begin, own in begins
            if own
        ]

    def _window(
        self, ids: list[int], begin: int, places: list[int], pieces: list[Span]
    ) -> SpanWindow:
        shift = len(self._before) - begin
        last = len(self._before) + max(1, len(ids))
        ranges = [
            (pieces[place][0] + shift, min(pieces[place][1] + shift, last)) for place in places
        ]
        return SpanWindow([*self._before, *ids, *self._after], places, ranges)


def _pieces(offsets: Sequence[Span], start: int, end: int) -> Span:
    """The pieces that hold any of the characters [start, end); where none does (the tokenizer drops a character, or the
    text was cut before it) the nearest one that comes after, else the last."""
    inside = [place for place, (first, last) in enumerate(offsets) if first < end and last > start]
    if inside:
        return inside[0], inside[-1] + 1
    after = next((place for place, (first, _) in enumerate(offsets) if first >= start), None)
    nearest = after if after is not None else max(0, len(offsets) - 1)
    return nearest, nearest + 1
