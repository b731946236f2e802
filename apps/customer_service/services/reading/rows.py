"""Tables as they stand: the cells of each row, of CSV and XLSX files, for what is imported by its columns."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.utils.translation import gettext_noop

from apps.customer_service.services.reading.document import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    MAX_ROWS,
    Block,
    Reading,
    Unreadable,
    cleaned,
)
from apps.customer_service.services.reading.kinds import kind_of
from apps.customer_service.services.reading.tables import csv_rows, sheets


def read_rows(data: bytes, *, name: str, content_type: str = "") -> Reading:
    """The rows of a CSV file, or of the first visible sheet of an XLSX file: a block "row" each, its cells as JSON.

    Raises:
        Unreadable: it is neither, is damaged, or nothing is in it.
    """
    reading = Reading()
    kind = kind_of(data, name=name, content_type=content_type)
    if kind not in {"csv", "xlsx", "text"}:
        raise Unreadable(gettext_noop("Use a CSV or XLSX file."))
    rows = (
        next((rows for _title, rows in sheets(reading, data)), iter(()))
        if kind == "xlsx"
        else csv_rows(data, content_type)
    )
    for row in rows:
        if len(reading.blocks) >= MAX_ROWS:
            reading.note(
                gettext_noop("Only the first %(most)s rows were read."), most=f"{MAX_ROWS:,}"
            )
            break
        cells = [cleaned(cell[:MAX_CELL_CHARACTERS], keep_lines=True) for cell in row[:MAX_COLUMNS]]
        reading.blocks.append(Block("row", json.dumps(cells, ensure_ascii=False)))
    if not any(any(row) for row in rows_of(reading)):
        raise Unreadable(gettext_noop("There is nothing in it."))
    return reading


def _first_sheet(reading: Reading, data: bytes) -> Iterator[list[str]]:
    for _title, rows in sheets(reading, data):
        return rows
    return iter(())


def rows_of(reading: Reading) -> list[list[str]]:
    """The rows that `read_rows` has read, empty ones too, so that their places are those of the file."""
    return [json.loads(block.text) for block in reading.blocks if block.kind == "row"]
