"""A sentence as pieces that may be edited and pieces that may not.

What decides a label or names something stays as it is: numbers, tickers, codes, addresses, names,
placeholders and negations. The protected pieces of an edited sentence are those of the original, in
the same order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ml_core.augmentation.words import NEGATIONS, STOP_WORDS
from ml_core.knowledge.phrases import PhraseMatcher
from ml_core.text.segmentation import cut_chinese

_KEPT = re.compile(
    r"""
      (?:https?://|www\.)\S+                            # addresses
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
    | [@\#$][A-Za-z_][\w.]*                              # mentions, topics, tickers
    | \{[^{}\s]*\} | <[^<>\s]*> | \[[A-Z_]+\]            # placeholders
    | [+\-−$€£¥￥]?[A-Za-z]*\d(?:[A-Za-z0-9]|[.,:/\-](?=[A-Za-z0-9]))*[%％‰]?
    | 百分之[零〇一二两三四五六七八九十百千万亿点]+
    | [零〇一二两三四五六七八九十百千万亿点]{2,}
    """,
    re.VERBOSE,
)
_ACRONYM = re.compile(r"(?<![A-Za-z])[A-Z][A-Z&.]*[A-Z](?![a-z])")
_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?:;。！？：；\n\"“”]")
_CHINESE_NEGATION = ("不", "没", "未", "无")

WORD, KEPT, GAP = "word", "kept", "gap"


@dataclass(slots=True)
class Piece:
    """``kind`` is WORD (may be edited), KEPT (never edited) or GAP (white space, punctuation)."""

    text: str
    kind: str


def split_pieces(
    text: str, language: str, *, protected: PhraseMatcher | None = None
) -> list[Piece]:
    """Cut ``text`` into pieces that join to it again. ``language`` is "en" or "zh"."""
    pieces: list[Piece] = []
    at = 0
    for start, end in _kept_spans(text, protected):
        pieces.extend(_split_plain(text[at:start], language))
        pieces.append(Piece(text[start:end], KEPT))
        at = end
    pieces.extend(_split_plain(text[at:], language))
    if language == "en":
        _keep_names(pieces)
    return pieces


def word_places(pieces: Sequence[Piece]) -> list[int]:
    """Which pieces may be edited."""
    return [place for place, piece in enumerate(pieces) if piece.kind == WORD]


def content_places(pieces: Sequence[Piece], language: str) -> list[int]:
    """Which pieces may be edited and are no stop words."""
    stop = STOP_WORDS[language]
    return [place for place in word_places(pieces) if pieces[place].text.casefold() not in stop]


def join_pieces(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def is_kept_token(token: str) -> bool:
    """Whether a token of a tagged sentence is a number, code, ticker, address or negation."""
    return (
        _KEPT.fullmatch(token) is not None
        or _ACRONYM.fullmatch(token) is not None
        or _is_negation(token)
    )


def _kept_spans(text: str, protected: PhraseMatcher | None) -> list[tuple[int, int]]:
    """Protected spans, left to right, overlapping ones joined."""
    spans = [match.span() for match in _KEPT.finditer(text)]
    letters = sum(character.isascii() and character.isalpha() for character in text)
    capitals = sum(character.isascii() and character.isupper() for character in text)
    # In a text written in capitals they mark nothing.
    if capitals * 2 <= letters:
        spans.extend(match.span() for match in _ACRONYM.finditer(text))
    if protected is not None:
        spans.extend((match.start, match.end) for match in protected.find(text))
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _split_plain(text: str, language: str) -> list[Piece]:
    if not text:
        return []
    if language == "zh":
        return [_piece(part) for part in cut_chinese(text)]
    pieces: list[Piece] = []
    at = 0
    for match in _WORD.finditer(text):
        if match.start() > at:
            pieces.append(Piece(text[at : match.start()], GAP))
        pieces.append(_piece(match.group()))
        at = match.end()
    if at < len(text):
        pieces.append(Piece(text[at:], GAP))
    return pieces


def _piece(part: str) -> Piece:
    if not any(character.isalnum() for character in part):
        return Piece(part, GAP)
    return Piece(part, KEPT if _is_negation(part) else WORD)


def _is_negation(word: str) -> bool:
    folded = word.casefold().replace("’", "'")
    return folded in NEGATIONS or folded.endswith("n't") or folded.startswith(_CHINESE_NEGATION)


def _keep_names(pieces: list[Piece]) -> None:
    """Mark capitalised words inside a sentence as names, unless most words are capitalised."""
    words = word_places(pieces)
    capitalised = [place for place in words if pieces[place].text[:1].isupper()]
    if len(capitalised) * 2 > len(words):
        return
    starts_sentence = True
    for piece in pieces:
        if piece.kind == GAP:
            starts_sentence = starts_sentence or _SENTENCE_END.search(piece.text) is not None
            continue
        name = piece.text[:1].isupper() and piece.text.casefold() not in STOP_WORDS["en"]
        if piece.kind == WORD and name and not starts_sentence:
            piece.kind = KEPT
        starts_sentence = False
