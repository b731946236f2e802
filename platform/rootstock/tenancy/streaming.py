"""Long answers that are read from the database while they are sent."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone, translation
from rest_framework.utils.encoders import JSONEncoder

from rootstock.tenancy.scope import current_organisation_id, organisation_scope

__all__ = ["csv_response", "json_lines_response"]

CHUNK = 500
# A cell that starts so is run as a formula by spreadsheet programs; the wide forms by those of East Asia.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_response(
    *,
    filename: str,
    header: Sequence[str],
    rows: QuerySet[Any],
    cells: Callable[[Any], Iterable[object]],
) -> StreamingHttpResponse:
    """`rows` as a CSV download, newest first, read 500 at a time.

    The scope of the request has ended when the body is sent, so every chunk is read in a scope of its own, by `id`
    below that of the row before: a scope is never left open while a slow client reads.
    """

    def lines(chunk: list[Any]) -> str:
        return _lines([[_safe(cell) for cell in cells(row)] for row in chunk])

    # The mark makes spreadsheet programs read the file as UTF-8.
    body = _chunks(_Reading.now(rows, lines), "\ufeff" + _lines([header]))
    return _download(body, filename, "text/csv; charset=utf-8")


def json_lines_response(
    *, filename: str, rows: QuerySet[Any], objects: Callable[[list[Any]], Iterable[object]]
) -> StreamingHttpResponse:
    """`rows` as a download with one JSON object a line, read like those of `csv_response`.

    `objects` turns a chunk of rows into what is written of each.
    """

    def lines(chunk: list[Any]) -> str:
        return "".join(
            json.dumps(one, ensure_ascii=False, cls=JSONEncoder) + "\n" for one in objects(chunk)
        )

    body = _chunks(_Reading.now(rows, lines))
    return _download(body, filename, "application/x-ndjson; charset=utf-8")


def _download(body: AsyncIterator[str], filename: str, media_type: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(body, content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


@dataclass(frozen=True)
class _Reading:
    """What is read, and what was in force when it was asked for."""

    rows: QuerySet[Any]
    lines: Callable[[list[Any]], str]
    organisation_id: uuid.UUID
    language: str | None
    zone: tzinfo

    @classmethod
    def now(cls, rows: QuerySet[Any], lines: Callable[[list[Any]], str]) -> _Reading:
        language, zone = translation.get_language(), timezone.get_current_timezone()
        return cls(rows, lines, current_organisation_id(), language, zone)

    def after(self, last: Any) -> tuple[str, Any]:
        """The text of the next chunk and the key of its last row; None after the end."""
        with (
            organisation_scope(self.organisation_id),
            translation.override(self.language),
            timezone.override(self.zone),
        ):
            below = self.rows.all() if last is None else self.rows.filter(pk__lt=last)
            chunk = list(below.order_by("-pk")[:CHUNK])
            return (self.lines(chunk), chunk[-1].pk) if chunk else ("", None)


async def _chunks(reading: _Reading, head: str = "") -> AsyncIterator[str]:
    if head:
        yield head
    last: Any = None
    while True:
        text, last = await sync_to_async(reading.after)(last)
        if last is None:
            return
        yield text


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _safe(cell: object) -> object:
    """A text that a spreadsheet would run is quoted with an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
