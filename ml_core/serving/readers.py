"""From inputs to pieces: what a model computes of a text, a pair of texts or a sentence of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ml_core.data.errors import DataError
from ml_core.data.spans import parse_spans
from ml_core.models.spans import SpanEncoder, SpanWindow
from ml_core.models.tokenise import TextEncoder
from ml_core.models.words import Window, Word, WordEncoder, split_words
from ml_core.serving.errors import InferenceError

Input = str | Mapping[str, Any]
# A sentence is read whole, so it must not be a book: about 256 windows of Latin writing, 512 of Chinese.
_MOST_CHARACTERS_PER_TOKEN = 512
# What a model is warmed up with: a short text, and one for which every buffer is allocated.
SAMPLES = ("Warm up.", "A longer text, so that the first batch finds every buffer allocated. " * 4)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one pass of an encoder reads; ``type_ids`` are those of a pair."""

    ids: tuple[int, ...]
    type_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An input as it was read: its text, the ``passes`` of the encoder that it takes (none for a sentence without
    words), and of a sentence the words, of a text with spans these, and what each pass speaks for."""

    text: str
    passes: tuple[Tokens, ...]
    words: Sequence[Word] = ()
    windows: Sequence[Window] = ()
    spans: Sequence[Sequence[int]] = ()
    span_windows: Sequence[SpanWindow] = ()


class Reader(Protocol):
    """Reads inputs of one kind with one tokenizer. Thread-safe; equal readers read alike."""

    def __call__(self, inputs: Sequence[Input]) -> list[Reading]:
        """One reading for each input, in order. Raises InferenceError "bad_request" for one of another kind."""
        ...


class TextReader:
    """Texts, cut to ``max_length`` tokens."""

    def __init__(self, tokenizer: Path, *, max_length: int) -> None:
        self._encode = TextEncoder.from_file(tokenizer, max_length=max_length)

    def __call__(self, inputs: Sequence[Input]) -> list[Reading]:
        texts = [text_of(given) for given in inputs]
        return [
            Reading(text, (Tokens(tuple(ids)),))
            for text, ids in zip(texts, self._encode(texts), strict=True)
        ]


class PairReader:
    """{"query", "document"}, read as one text of which the longer part is cut first."""

    def __init__(self, tokenizer: Path, *, max_length: int) -> None:
        self._encode = TextEncoder.from_file(tokenizer, max_length=max_length)

    def __call__(self, inputs: Sequence[Input]) -> list[Reading]:
        pairs = [(_part(given, "query"), _part(given, "document")) for given in inputs]
        return [
            Reading(document, (Tokens(tuple(ids), tuple(types)),))
            for (_, document), (ids, types) in zip(pairs, self._encode.pairs(pairs), strict=True)
        ]


class WordReader:
    """Texts as words, in as many windows as it takes; see `WordEncoder`."""

    def __init__(self, tokenizer: Path, *, max_length: int, by_character: bool) -> None:
        self._encode = WordEncoder.from_file(tokenizer, max_length=max_length)
        self._by_character = by_character
        self._most_characters = _MOST_CHARACTERS_PER_TOKEN * max_length

    def __call__(self, inputs: Sequence[Input]) -> list[Reading]:
        texts = [text_of(given) for given in inputs]
        for text in texts:
            if len(text) > self._most_characters:
                raise InferenceError(
                    f"a text of {len(text):,} characters; this model tags at most "
                    f"{self._most_characters:,} at once",
                    code="too_large",
                )
        split = [split_words(text, by_character=self._by_character) for text in texts]
        found = self._encode([[word.text for word in words] for words in split])
        return [
            Reading(text, tuple(Tokens(tuple(window.ids)) for window in windows), words, windows)
            for text, words, windows in zip(texts, split, found, strict=True)
        ]


class SpanReader:
    """{"text", "spans"}, spans as [start, end] or {"start", "end"} in characters; see `SpanEncoder`."""

    def __init__(self, tokenizer: Path, *, max_length: int) -> None:
        self._encode = SpanEncoder.from_file(tokenizer, max_length=max_length)

    def __call__(self, inputs: Sequence[Input]) -> list[Reading]:
        texts = [_part(given, "text") for given in inputs]
        spans = [_spans_of(given, text) for given, text in zip(inputs, texts, strict=True)]
        return [
            Reading(
                text,
                tuple(Tokens(tuple(window.ids)) for window in windows),
                spans=own,
                span_windows=windows,
            )
            for text, own, windows in zip(texts, spans, self._encode(texts, spans), strict=True)
        ]


def _spans_of(given: Input, text: str) -> list[list[int]]:
    value = given.get("spans") if isinstance(given, Mapping) else None
    try:
        spans, _ = parse_spans(value, text)
    except DataError as error:
        raise InferenceError(f"an input with unusable spans: {error}", code="bad_request") from None
    return spans


def text_of(given: Input) -> str:
    """The text of an input that is one, or {"text"}; raises InferenceError "bad_request"."""
    return given if isinstance(given, str) else _part(given, "text")


def _part(given: Input, key: str) -> str:
    value = given.get(key) if isinstance(given, Mapping) else None
    if not isinstance(value, str) or not value.strip():
        raise InferenceError(f"an input without {key!r}, which must be a text", code="bad_request")
    return value
