"""What the readers share: blocks, limits, and what is wrong with a document in words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext_noop

MAX_BYTES = 32 * 2**20
# Of all members of a DOCX or XLSX file together.
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_MEMBERS = 5_000
MAX_PAGES = 2_000
MAX_CHARACTERS = 2_000_000
MAX_BLOCKS = 50_000
MAX_BLOCK_CHARACTERS = 50_000
MAX_ROWS = 50_000
MAX_COLUMNS = 40
MAX_CELL_CHARACTERS = 20_000
MAX_HEADING_CHARACTERS = 300

KINDS = ("heading", "prose", "list", "table", "code", "question")
# A text as translators see it, and its values by name.
Words = tuple[str, dict[str, Any]]

_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\n{3,}")


class Unreadable(Exception):
    """Nothing can be read of a document; the text is for the person who gave it."""

    def __init__(self, text: str, **values: Any) -> None:
        super().__init__(text % values if values else text)
        self.text = text
        self.values = values


class Full(Exception):
    """A limit was reached: what has been read so far is what there is."""


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, or a piece of text between two, in reading order.

    What `inference.passages` cuts. `kind` is one of KINDS. `level` counts headings from 1. A table's text has a line a
    row and " | " between cells. Of a question the first line is what is asked, the rest is the answer.
    """

    kind: str
    text: str
    level: int = 0
    page: int | None = None


@dataclass(slots=True)
class Reading:
    """A document as it was read. `notes`: what was left out, in words."""

    title: str = ""
    language: str = ""
    pages: int = 0
    blocks: list[Block] = field(default_factory=list)
    notes: list[Words] = field(default_factory=list)
    characters: int = 0

    def add(self, kind: str, text: str, *, level: int = 0, page: int | None = None) -> None:
        """Add a block, unless nothing is in it.

        Raises:
            Full: the document has more text than is read of one.
        """
        text = cleaned(text, keep_lines=kind in {"table", "code", "list", "question"})
        if not text:
            return
        if kind == "heading":
            text = text.replace("\n", " ")[:MAX_HEADING_CHARACTERS]
        if len(text) > MAX_BLOCK_CHARACTERS:
            head, text = text[:MAX_BLOCK_CHARACTERS], text[MAX_BLOCK_CHARACTERS:]
            self.add(kind, head, level=level, page=page)
            self.add(kind, text, level=level, page=page)
            return
        if self.characters + len(text) > MAX_CHARACTERS or len(self.blocks) >= MAX_BLOCKS:
            self.note(
                gettext_noop("Only the first %(most)s characters were read."),
                most=f"{self.characters:,}",
            )
            raise Full
        self.characters += len(text)
        self.blocks.append(Block(kind, text, level, page))

    def note(self, text: str, **values: Any) -> None:
        """Say what was left out; once for each text."""
        if all(text != known for known, _values in self.notes):
            self.notes.append((text, values))

    def as_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reading:
        """The reading that a program has written."""
        blocks = [Block(**block) for block in data["blocks"]]
        notes = [(text, values) for text, values in data["notes"]]
        return cls(**{**data, "blocks": blocks, "notes": notes})


def cleaned(text: str, *, keep_lines: bool = False) -> str:
    """A text that can be stored: composed, without control characters and half surrogates, spaces run together."""
    text = text.encode("utf-8", "ignore").decode("utf-8")
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = "".join(
        letter
        if letter in "\n\t" or unicodedata.category(letter) not in {"Cc", "Cn", "Co"}
        else " "
        for letter in text.replace("\u00ad", "").replace("\u200b", "").replace("\ufeff", "")
    )
    if not keep_lines:
        return " ".join(text.split())
    lines = (line.expandtabs(4) for line in text.split("\n"))
    return _LINES.sub("\n\n", "\n".join(map(_spaced, lines))).strip("\n")


def _spaced(line: str) -> str:
    """A line with its indent, and single spaces between its words."""
    text = _SPACES.sub(" ", line.strip())
    return " " * min(40, len(line) - len(line.lstrip())) + text if text else ""


def cell(text: str) -> str:
    """The text of a table's cell on one line."""
    return " ".join(text.split()).replace(" | ", " / ")[:MAX_CELL_CHARACTERS]


def table(rows: list[list[str]]) -> str:
    """Rows as the text of a block; rows without text are left out."""
    lines = [
        " | ".join(cell(each) for each in row) for row in rows if any(each.strip() for each in row)
    ]
    return "\n".join(lines)
