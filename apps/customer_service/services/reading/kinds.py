"""Which format bytes are in, by what they begin with before what they are called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath

from django.utils.translation import gettext_noop

from apps.customer_service.services.reading.archives import archive_names
from apps.customer_service.services.reading.document import (
    MAX_BYTES,
    Full,
    Reading,
    Unreadable,
)

# By the ending of a name, or by the type that a server states.
_ENDINGS = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".xlsx": "xlsx",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
    ".text": "text",
}
_TYPES = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    "text/plain": "text",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
}
_READERS = {
    "pdf": ("pdf", "read_pdf"),
    "docx": ("docx", "read_docx"),
    "xlsx": ("tables", "read_xlsx"),
    "csv": ("tables", "read_csv"),
    "markdown": ("markdown", "read_markdown"),
    "html": ("html", "read_html"),
    "text": ("plain", "read_text"),
}
ENDINGS = tuple(_ENDINGS)
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SUPPORTED = gettext_noop(
    "Files of this kind are not read. Use PDF, DOCX, Markdown, HTML, TXT, or CSV and XLSX with questions and answers."
)


def kind_of(data: bytes, *, name: str, content_type: str = "") -> str:
    """The format: "pdf", "docx", "xlsx", "markdown", "html", "csv" or "text".

    Raises:
        Unreadable: it is empty, too large, or in no format that is read.
    """
    if not data.strip():
        raise Unreadable(gettext_noop("There is nothing in it."))
    if len(data) > MAX_BYTES:
        raise Unreadable(gettext_noop("It is larger than %(most)s MB."), most=MAX_BYTES // 2**20)
    told = _ENDINGS.get(PurePosixPath(name.lower()).suffix, "")
    told = told or _TYPES.get(content_type.split(";", maxsplit=1)[0].strip().lower(), "")
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return _office(data)
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Unreadable(
                gettext_noop("The file is protected by a password. Save it without one.")
            )
        raise Unreadable(gettext_noop("Older Office files are not read. Save it as DOCX or XLSX."))
    if data.startswith(_PICTURES) or data[8:12] == b"WEBP":
        raise Unreadable(gettext_noop("It is a picture. Text in pictures is not read."))
    if told in {"pdf", "docx", "xlsx"}:
        raise Unreadable(
            gettext_noop("It is called %(kind)s but is none, or is damaged."), kind=told.upper()
        )
    head = data[:512].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if head.startswith((b"<!doctype html", b"<html")) and told != "markdown":
        return "html"
    if not told and PurePosixPath(name).suffix and not content_type:
        raise Unreadable(_SUPPORTED)
    if not told and content_type and not content_type.startswith("text/"):
        raise Unreadable(_SUPPORTED)
    return told or "text"


def read(data: bytes, *, name: str, content_type: str = "") -> Reading:
    """Read bytes of any known format.

    Raises:
        Unreadable: nothing could be read, with the reason.
    """
    reading = Reading()
    kind = kind_of(data, name=name, content_type=content_type)
    with suppress(Full):
        _reader(kind)(reading, data, content_type)
    if not any(block.kind != "heading" for block in reading.blocks):
        raise Unreadable(gettext_noop("There is no text in it."))
    return reading


def _reader(kind: str) -> Callable[[Reading, bytes, str], None]:
    """The reader of a format. Each is imported only when it is needed, with the library that it needs."""
    module, function = _READERS[kind]
    reader: Callable[[Reading, bytes, str], None] = getattr(
        importlib.import_module(f"{__package__}.{module}"), function
    )
    return reader


def _office(data: bytes) -> str:
    names = archive_names(data)
    if "word/document.xml" in names:
        return "docx"
    if "xl/workbook.xml" in names:
        return "xlsx"
    if not names:
        raise Unreadable(gettext_noop("The file is damaged: it is no whole archive."))
    raise Unreadable(_SUPPORTED)
