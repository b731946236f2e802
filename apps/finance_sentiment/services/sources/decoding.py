"""Bytes as text, whatever character set they claim."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEADER = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{2,40})", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{2,40})["']""")
_HTML = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{2,40})""", re.IGNORECASE)
# Any byte is a letter of these: that they can be decoded says nothing.
_TAKE_ANYTHING = {"iso8859-1", "cp1252", "ascii", "iso8859-15"}
# What is called so is mostly a larger set in truth.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252"}
_NOT_ASCII = bytes(range(0x80, 0x100))
# Bytes that are not ASCII in a text that is long enough to tell its set from.
_TELLING = 30
_GUESSES = ("utf-8", "gb18030", "big5", "shift_jis")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and whether its character set had to be guessed against what was declared."""

    text: str
    charset: str
    guessed: bool


def decode(data: bytes, content_type: str = "") -> Decoded:
    """The text of an XML, HTML or JSON document.

    Its byte order mark decides, then what the document and then what the server declares, as long as the
    bytes are possible in it. A long text that is UTF-8 is that whatever it says: by chance no text of
    another set is. A short one only where all bytes are possible in what it says.
    """
    for mark, charset in _BOMS:
        if data.startswith(mark):
            return Decoded(_lenient(data, charset), charset, guessed=False)
    declared = _declared(data, content_type)
    foreign = len(data) - len(data.translate(None, _NOT_ASCII))
    if not declared or declared[0] in _TAKE_ANYTHING or foreign >= _TELLING:
        text = _strict(data, "utf-8")
        if text is not None:
            said = not declared or declared[0] == "utf-8"
            return Decoded(text, "utf-8", guessed=not said and foreign > 0)
    for charset in declared:
        wider = _WIDER.get(charset, charset)
        text = _strict(data, wider)
        if text is not None:
            return Decoded(text, wider, guessed=charset != declared[0])
    for charset in _GUESSES:
        text = _strict(data, charset)
        if text is not None and charset not in declared:
            return Decoded(text, charset, guessed=True)
    return Decoded(_lenient(data, declared[0] if declared else "utf-8"), "", guessed=True)


def _declared(data: bytes, content_type: str) -> list[str]:
    """Python's names of the declared character sets, the document's own first."""
    head = data[:2048]
    found = [match.group(1).decode("ascii") for match in (_XML.search(head),) if match]
    found += [match.group(1).decode("ascii") for match in (_HTML.search(head),) if match]
    found += [match.group(1) for match in (_HEADER.search(content_type),) if match]
    return list(dict.fromkeys(name for name in map(_normal, found) if name))


def _normal(name: str) -> str:
    """The codec's own name; empty for what is none of text."""
    try:
        codec = codecs.lookup(name)
    except LookupError:
        return ""
    is_text: bool = getattr(codec, "_is_text_encoding", True)
    return codec.name if is_text else ""


def _strict(data: bytes, charset: str) -> str | None:
    try:
        return data.decode(charset)
    except (UnicodeDecodeError, ValueError):
        return None


def _lenient(data: bytes, charset: str) -> str:
    return data.decode(charset, "replace")
