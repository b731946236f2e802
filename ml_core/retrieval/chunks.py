"""A document cut into passages along its structure.

Whoever reads a file gives its `Block`s in reading order; `split` makes `Chunk`s of them that are found, read and cited
by themselves: under their headings, of one kind, never above the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from ml_core.retrieval.analysis import HAN
from ml_core.retrieval.boundaries import sentences

Kind = Literal["heading", "prose", "list", "table", "code", "question"]
ChunkKind = Literal["prose", "list", "table", "code", "question"]

MAX_TERMS = 200
_CHARACTER = f"{HAN}\u3041-\u30ff\uac00-\ud7af"
_UNIT = re.compile(rf"[{_CHARACTER}]|(?:(?![{_CHARACTER}])\w){{1,12}}|[^\w\s]{{1,12}}")
# A line break between these is the page's, not the writer's.
_BROKEN = re.compile(f"(?<=[{_CHARACTER}，、；：])\\s*\n\\s*(?=[{_CHARACTER}])")
# The line under a header in Markdown.
_RULE = re.compile(r"[\s|:+\-]*-[\s|:+\-]*")


@dataclass(frozen=True)
class Block:
    """A piece of a document as its reader sees it.

    ``heading``: ``level`` from 1 (the highest). ``prose``: a paragraph. ``list``: an item a line. ``table``: a row a
    line, the header first, cells apart by ``|``. ``code``: lines. ``question``: the question on the first line, its
    answer below. ``page`` is counted from 1, None where there are no pages.
    """

    kind: Kind
    text: str
    level: int = 0
    page: int | None = None


@dataclass(frozen=True)
class Chunk:
    """A passage. ``headings``: those above it, the highest first; of a ``question`` the last one is the question, and
    ``text`` the answer. ``page`` is that of its beginning. ``terms`` is its `size`."""

    text: str
    kind: ChunkKind
    headings: tuple[str, ...] = ()
    page: int | None = None
    terms: int = 0

    @property
    def searched(self) -> str:
        """What search should read: the passage under its headings."""
        return "\n".join([*self.headings, self.text])


@dataclass
class _Piece:
    """Something that is not cut any more: a sentence, an item, a row. ``before`` is what joins it to the one before."""

    text: str
    before: str = " "
    # May be said again at the beginning of the next chunk.
    repeatable: bool = False
    terms: int = field(init=False)

    def __post_init__(self) -> None:
        self.terms = size(self.text)


def size(text: str) -> int:
    """How long a text is: Chinese characters, words and runs of marks, of which a long one counts once for every
    twelve characters.

    Close to the number of a model's tokens, and needs no dictionary.
    """
    return sum(1 for _ in _UNIT.finditer(text))


def split(
    blocks: Sequence[Block], *, max_terms: int = MAX_TERMS, overlap_sentences: int = 1
) -> list[Chunk]:
    """The passages of a document, in reading order; none has more than ``max_terms`` (see `size`), headings apart.

    Paragraphs and lists under one heading share a passage while they fit. A longer stretch of prose is cut between
    sentences, and each part begins with the last ``overlap_sentences`` of the one before. A table or code that fits
    stays whole; a longer table is cut between rows and its header repeated. A list is cut between items, an answer
    between sentences, and what is too long by itself wherever it must be.

    Raises ValueError for a limit under 8 or a negative overlap.
    """
    if max_terms < 8 or overlap_sentences < 0:
        raise ValueError(f"max_terms={max_terms}, overlap_sentences={overlap_sentences}")
    chunks: list[Chunk] = []
    headings: list[tuple[int, str]] = []
    running: list[tuple[Block, list[_Piece]]] = []

    def finish() -> None:
        if running:
            chunks.extend(_running_chunks(running, _titles(headings), max_terms, overlap_sentences))
            running.clear()

    for block in blocks:
        text = _clean(block)
        if not text:
            continue
        if block.kind in ("prose", "list"):
            running.append((block, _pieces(block.kind, text, max_terms)))
            continue
        finish()
        if block.kind == "heading":
            headings = [each for each in headings if each[0] < max(1, block.level)]
            headings.append((max(1, block.level), " ".join(text.split())))
        else:
            chunks.extend(_whole_chunks(block, text, _titles(headings), max_terms))
    finish()
    return chunks


def _titles(headings: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(text for _level, text in headings)


def _clean(block: Block) -> str:
    """Without white space at the ends of lines and empty lines; a paragraph is one line, code keeps its indents."""
    lines = [line.rstrip() for line in block.text.splitlines()]
    if block.kind != "code":
        lines = [line.strip() for line in lines]
    if block.kind == "table":
        lines = [line for line in lines if not _RULE.fullmatch(line)]
    return "\n".join(line for line in lines if line.strip())


def _pieces(kind: str, text: str, most: int) -> list[_Piece]:
    """What a text may be cut into: each of at most ``most`` terms."""
    if kind in ("list", "code", "table"):
        lines = [_Piece(line, "\n") for line in text.splitlines()]
        return [part for line in lines for part in _cut(line, most)]
    found = [
        _Piece(each, " ", repeatable=True)
        for each in sentences(" ".join(_BROKEN.sub("", text).split()))
    ]
    # Chinese sentences stand without a space between them.
    for last, piece in pairwise(found):
        piece.before = (
            ""
            if re.match(f"[{HAN}]|[“‘「『《（]", piece.text) and not last.text[-1].isascii()
            else " "
        )
    return [part for piece in found for part in _cut(piece, most)]


def _cut(piece: _Piece, most: int) -> list[_Piece]:
    """The piece, or its parts where it is too long: between words, as long as they fit."""
    if piece.terms <= most:
        return [piece]
    parts: list[_Piece] = []
    start, count = 0, 0
    for unit in _UNIT.finditer(piece.text):
        if count == most:
            parts.append(_Piece(piece.text[start : unit.start()].strip(), " "))
            start, count = unit.start(), 0
        count += 1
    parts.append(_Piece(piece.text[start:].strip(), " "))
    parts[0].before = piece.before
    return parts


def _join(pieces: Sequence[_Piece]) -> str:
    return "".join([pieces[0].text, *(piece.before + piece.text for piece in pieces[1:])])


def _running_chunks(
    running: Sequence[tuple[Block, list[_Piece]]],
    headings: tuple[str, ...],
    most: int,
    overlap: int,
) -> Iterator[Chunk]:
    """Paragraphs and lists under one heading, as many together as fit."""
    held: list[_Piece] = []
    kinds: set[str] = set()
    page: int | None = None
    fresh = False

    def chunk() -> Chunk:
        text = _join(held)
        kind: ChunkKind = "list" if kinds == {"list"} else "prose"
        return Chunk(text, kind, headings, page, size(text))

    for block, pieces in running:
        whole = sum(piece.terms for piece in pieces)
        if held and fresh and sum(piece.terms for piece in held) + whole > most >= whole:
            # A paragraph that fits by itself is not torn to fill up the one before.
            yield chunk()
            held, kinds, fresh = [], set(), False
        for number, piece in enumerate(pieces):
            first = number == 0
            if held and sum(each.terms for each in held) + piece.terms > most:
                if fresh:
                    yield chunk()
                held = [] if first else _repeated(held, piece, most, overlap)
                kinds, fresh = set(), False
            if not fresh:
                page = block.page
            held.append(
                _Piece(piece.text, "\n" if first and held else piece.before, piece.repeatable)
            )
            kinds.add(block.kind)
            fresh = True
    if fresh:
        yield chunk()


def _repeated(held: Sequence[_Piece], coming: _Piece, most: int, overlap: int) -> list[_Piece]:
    """The last sentences of a chunk that the next one begins with: less than half of it, and room for what comes."""
    kept: list[_Piece] = []
    terms = 0
    for piece in reversed(held[1:]):
        terms += piece.terms
        if (
            len(kept) == overlap
            or not piece.repeatable
            or terms > min(most // 2, most - coming.terms)
        ):
            break
        kept.insert(0, piece)
    return kept


def _whole_chunks(block: Block, text: str, headings: tuple[str, ...], most: int) -> Iterator[Chunk]:
    """A table, code or question: one chunk where it fits."""
    kind: ChunkKind = block.kind  # type: ignore[assignment]  # headings, prose and lists are handled elsewhere
    top = ""
    if kind == "question":
        question, _, answer = text.partition("\n")
        headings, text = (*headings, question), answer or question
    elif kind == "table" and size(text) > most:
        header, _, rows = text.partition("\n")
        # A header that would fill the chunk stands in the first one only.
        if size(header) <= most // 2:
            top, text = header, rows
    room = most - size(top)
    if kind == "question" and size(text) <= room:
        pieces = [_Piece(text)]
    else:
        pieces = _pieces("prose" if kind == "question" else kind, text, room)
    held: list[_Piece] = []
    for piece in [*pieces, None]:
        full = piece is not None and sum(each.terms for each in held) + piece.terms > room
        if held and (full or piece is None):
            body = "\n".join(filter(None, [top, _join(held)]))
            yield Chunk(body, kind, headings, block.page, size(body))
            held = []
        if piece is not None:
            held.append(piece)
