"""Plain text: paragraphs between empty lines."""

from __future__ import annotations

import re

from apps.customer_service.services.reading.decoding import charset_of, decode
from apps.customer_service.services.reading.document import Reading

_BREAK = re.compile(r"\n[^\S\n]*\n")
# "第三章 退货", "2.1 Returns": short, alone on its line, without a stop at its end.
_HEADING = re.compile(
    r"(第[〇一二三四五六七八九十百\d]{1,5}[章节節条條]|(\d{1,2}\.){1,3}\d{0,2}\s)\s*\S.{0,60}[^。．.!?！？；;,，:：]"
)
_ITEM = re.compile(r"\s*([-*•·●▪]|\(?\d{1,3}[.)、]|[(（][一二三四五六七八九十]{1,3}[)）])\s*\S")
_SHORT = 40


def read_text(reading: Reading, data: bytes, content_type: str) -> None:
    """Paragraphs, lists and numbered headings of a plain text.

    Raises:
        Unreadable: it is no text.
    """
    text = decode(data, charset_of(content_type))
    for part in _BREAK.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = [line for line in part.split("\n") if line.strip()]
        if len(lines) == 1 and _HEADING.fullmatch(lines[0].strip()):
            reading.add("heading", lines[0], level=1 + lines[0].split()[0].strip(".").count("."))
        elif lines and sum(bool(_ITEM.match(line)) for line in lines) * 2 > len(lines):
            reading.add("list", "\n".join(lines))
        elif len(lines) > 1 and max(map(len, lines)) < _SHORT:
            # An address, opening hours: the lines mean something.
            reading.add("list", "\n".join(lines))
        else:
            reading.add("prose", joined(lines))


def joined(lines: list[str]) -> str:
    """Lines of a paragraph as one: a space between them unless both sides are Chinese, no hyphen that broke a word."""
    text = ""
    for line in (line.strip() for line in lines):
        if not line:
            continue
        if text.endswith("-") and len(text) > 1 and text[-2].isalpha() and line[0].islower():
            text = text[:-1] + line
        elif text and not (_wide(text[-1]) and _wide(line[0])):
            text += f" {line}"
        else:
            text += line
    return text


def _wide(letter: str) -> bool:
    return (
        "\u2e80" <= letter <= "\u9fff"
        or "\u3000" <= letter <= "\u303f"
        or "\uff00" <= letter <= "\uffef"
    )
