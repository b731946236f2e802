"""Documents in files: CSV and JSON lines, plain or gzipped, read line by line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import IO, Any

from apps.finance_sentiment.services.intake import IncomingDocument, document_parse
from rootstock.common.line_files import BadRow, FileRefused, rows_read

__all__ = ["FIELDS", "NEEDED", "BadRow", "FileOptions", "FileRefused", "documents_read"]

FIELDS = ("external_id", "source", "title", "body", "url", "language", "published_at")
# What a row cannot do without; the id and the source can be made up.
NEEDED = ("title", "published_at")


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How to read a file."""

    encoding: str = ""
    source: str = ""
    zone: tzinfo | None = None


def documents_read(
    file: IO[bytes], *, name: str, options: FileOptions, now: datetime
) -> Iterator[IncomingDocument | BadRow]:
    """Every document of a file in order, and every row that is none.

    A row without an id gets one from its content, so that reading the file again changes nothing.

    Raises:
        FileRefused: unknown kind, wrong encoding, damaged archive, missing columns.
    """
    source = options.source or Path(name).name.split(".")[0]
    rows = rows_read(file, name=name, fields=FIELDS, needed=NEEDED, encoding=options.encoding)
    for line, raw in rows:
        yield _document(line, raw, source=source, zone=options.zone, now=now)


def _document(
    line: int, raw: Any, *, source: str, zone: tzinfo | None, now: datetime
) -> IncomingDocument | BadRow:
    if isinstance(raw, BadRow):
        return raw
    if isinstance(raw, dict):
        raw = {"source": source, **{key: value for key, value in raw.items() if value}}
        raw.setdefault("external_id", _made_up_id(raw))
    document, errors = document_parse(raw, now=now, zone=zone)
    if document is not None:
        return document
    reason = "; ".join(f"{error.field}: {error.detail}".lstrip(": ") for error in errors)
    return BadRow(line, reason)


def _made_up_id(raw: dict[str, Any]) -> str:
    key = json.dumps([raw.get("title"), raw.get("published_at")], ensure_ascii=True, default=str)
    return hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
