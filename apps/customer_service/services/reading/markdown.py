"""Markdown, by the tokens of CommonMark with tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from apps.customer_service.services.reading.decoding import charset_of, decode
from apps.customer_service.services.reading.document import Reading, table
from apps.customer_service.services.reading.html import html_text

_FRONT = re.compile(r"\A---\n(.*?)\n(---|\.\.\.)\s*\n", re.S)
_TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.M)


def read_markdown(reading: Reading, data: bytes, content_type: str) -> None:
    """Headings, paragraphs, lists, tables and code of a Markdown text.

    Raises:
        Unreadable: it is no text.
    """
    text = decode(data, charset_of(content_type)).replace("\r\n", "\n")
    front = _FRONT.match(text)
    if front:
        title = _TITLE.search(front.group(1))
        reading.title = title.group(1)[:300] if title else ""
        text = text[front.end() :]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    place = 0
    while place < len(tokens):
        place = _block(reading, tokens, place)


def _block(reading: Reading, tokens: Sequence[Token], place: int) -> int:
    """Read the block that begins at `place`; returns where the next one does."""
    token = tokens[place]
    end = _end(tokens, place)
    if token.type == "heading_open":
        reading.add("heading", _text(tokens[place + 1]), level=int(token.tag[1]))
    elif token.type == "paragraph_open":
        reading.add("prose", _text(tokens[place + 1]))
    elif token.type in {"bullet_list_open", "ordered_list_open"}:
        reading.add("list", _list(tokens[place:end]))
    elif token.type == "table_open":
        reading.add("table", table(_rows(tokens[place:end])))
    elif token.type in {"fence", "code_block"}:
        reading.add("code", token.content)
    elif token.type == "html_block":
        reading.add("prose", html_text(token.content))
    elif token.type == "blockquote_open":
        inner = place + 1
        while inner < end - 1:
            inner = _block(reading, tokens, inner)
    return end


def _end(tokens: Sequence[Token], place: int) -> int:
    """Behind the token that closes the one at `place`."""
    depth = 0
    for index in range(place, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index + 1
    return len(tokens)


def _list(tokens: Sequence[Token]) -> str:
    """A line an item, indented by depth; a paragraph or code in an item goes on below it."""
    lines: list[str] = []
    counts: list[int | None] = []
    fresh = False
    for token in tokens:
        if token.type == "ordered_list_open":
            counts.append(int(token.attrs.get("start", 1)))
        elif token.type == "bullet_list_open":
            counts.append(None)
        elif token.type.endswith("_list_close"):
            counts.pop()
        elif token.type == "list_item_open":
            fresh = True
        elif token.type in {"inline", "fence", "code_block"}:
            text = _text(token) if token.type == "inline" else token.content.strip()
            indent = "  " * (len(counts) - 1)
            mark = "" if not fresh else "- " if counts[-1] is None else f"{counts[-1]}. "
            lines.append(f"{indent}{mark}{text}")
            if fresh and counts[-1] is not None:
                counts[-1] += 1
            fresh = False
    return "\n".join(lines)


def _rows(tokens: Sequence[Token]) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(_text(token))
    return rows


def _text(token: Token) -> str:
    """What a reader sees of a line: the words of links, the descriptions of pictures, no marks."""
    parts = []
    for child in token.children or []:
        if child.type in {"softbreak", "hardbreak"}:
            parts.append("\n" if child.type == "hardbreak" else " ")
        elif child.type == "html_inline":
            parts.append(" " if child.content.lower().startswith("<br") else "")
        else:
            parts.append(child.content)
    return "".join(parts)
