"""Long answers that are read from the database while they are sent."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse

from rootstock.tenancy.scope import current_organisation_id, organisation_scope

__all__ = ["csv_response"]

CHUNK = 500
# A cell that starts so is run as a formula by spreadsheet programs.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


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
    organisation_id = current_organisation_id()
    response = StreamingHttpResponse(
        _chunks(organisation_id, header, rows, cells), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


async def _chunks(
    organisation_id: uuid.UUID,
    header: Sequence[str],
    rows: QuerySet[Any],
    cells: Callable[[Any], Iterable[object]],
) -> AsyncIterator[str]:
    # The mark makes spreadsheet programs read the file as UTF-8.
    yield "\ufeff" + _lines([header])
    last: uuid.UUID | None = None
    while True:
        chunk = await sync_to_async(_read)(organisation_id, rows, last)
        if not chunk:
            return
        last = chunk[-1].pk
        yield _lines([[_safe(cell) for cell in cells(row)] for row in chunk])


def _read(organisation_id: uuid.UUID, rows: QuerySet[Any], last: uuid.UUID | None) -> list[Model]:
    with organisation_scope(organisation_id):
        below = rows.filter(pk__lt=last) if last else rows.all()
        return list(below.order_by("-pk")[:CHUNK])


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _safe(cell: object) -> object:
    """A text that a spreadsheet would run is quoted with an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
