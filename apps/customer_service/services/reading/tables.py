"""Questions and answers in tables: CSV and XLSX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import openpyxl
from django.utils.translation import gettext_noop
from openpyxl.utils.exceptions import InvalidFileException

from apps.customer_service.services.reading.archives import archive_check
from apps.customer_service.services.reading.decoding import charset_of, decode
from apps.customer_service.services.reading.document import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    MAX_HEADING_CHARACTERS,
    MAX_ROWS,
    Reading,
    Unreadable,
    cleaned,
)

_NAMES = {
    "question": {
        "question",
        "questions",
        "q",
        "query",
        "title",
        "问题",
        "問題",
        "标准问",
        "标准问题",
        "问",
        "提问",
        "标题",
    },
    "answer": {
        "answer",
        "answers",
        "a",
        "reply",
        "response",
        "content",
        "答案",
        "回答",
        "答",
        "回复",
        "答复",
        "内容",
    },
    "similar": {
        "similar",
        "similar questions",
        "alternatives",
        "variants",
        "相似问",
        "相似问题",
        "相似问法",
        "扩展问",
    },
    "category": {"category", "topic", "section", "group", "类别", "类目", "分类", "类型", "主题"},
}
# Several ways to ask in one cell.
_SEPARATOR = re.compile(r"\n|\s*\|\|\s*|\s*;;\s*")
_NOTED_ROWS = 10


def read_csv(reading: Reading, data: bytes, content_type: str) -> None:
    """Questions and answers of a CSV file, a row each.

    Raises:
        Unreadable: it is no text, or has no two columns.
    """
    _questions(reading, csv_rows(data, content_type))


def read_xlsx(reading: Reading, data: bytes, content_type: str) -> None:
    """Questions and answers of every sheet of an XLSX file, a row each; a sheet's name is the heading above them.

    Raises:
        Unreadable: it is damaged, unpacks to too much, or no sheet has two columns.
    """
    first: Unreadable | None = None
    for title, rows in sheets(reading, data):
        if title:
            reading.add("heading", title, level=1)
        try:
            _questions(reading, rows)
        except Unreadable as error:
            first = first or error
    if first is not None and not any(block.kind == "question" for block in reading.blocks):
        raise first


def csv_rows(data: bytes, content_type: str = "") -> Iterator[list[str]]:
    """The rows of a CSV file, whatever stands between its cells.

    Raises:
        Unreadable: it is no text, or no CSV.
    """
    text = decode(data, charset_of(content_type)).replace("\x00", "")
    csv.field_size_limit(10 * MAX_CELL_CHARACTERS)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    except csv.Error as error:
        raise Unreadable(gettext_noop("This is not CSV: %(error)s."), error=str(error)) from error


def sheets(reading: Reading, data: bytes) -> Iterator[tuple[str, Iterator[list[str]]]]:
    """The visible sheets of an XLSX file with their rows; a sheet that is the only one needs no title: "".

    Raises:
        Unreadable: it is damaged, or unpacks to too much.
    """
    archive_check(data)
    with _whole_book():
        book = openpyxl.load_workbook(
            io.BytesIO(data), read_only=True, data_only=True, keep_links=False
        )
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible":
            reading.note(gettext_noop("Hidden sheets were left out."))
            continue
        yield sheet.title if len(book.worksheets) > 1 else "", _sheet_rows(sheet)


def _sheet_rows(sheet: Any) -> Iterator[list[str]]:
    with _whole_book():
        for row in sheet.iter_rows(max_row=2 * MAX_ROWS, max_col=MAX_COLUMNS, values_only=True):
            yield [_cell(value) for value in row]


@contextmanager
def _whole_book() -> Iterator[None]:
    """What openpyxl raises on a damaged file, in words."""
    try:
        yield
    except (
        InvalidFileException,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        SyntaxError,
        OSError,
    ) as error:
        raise Unreadable(
            gettext_noop("The file is damaged. Open it in a spreadsheet and save it anew.")
        ) from error


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _delimiter(text: str) -> str:
    """The mark that the first lines hold most evenly."""
    lines = [line for line in text[:20_000].splitlines() if line.strip()][:20]
    counts = {mark: [line.count(mark) for line in lines] for mark in (",", "\t", ";", "，")}
    return max(counts, key=lambda mark: (sum(count > 0 for count in counts[mark]), mark == ","))


def _questions(reading: Reading, rows: Iterable[list[str]]) -> None:
    places: dict[str, int] | None = None
    empty: list[int] = []
    category = ""
    for number, row in enumerate(_limited(reading, rows), start=1):
        if not any(value.strip() for value in row):
            continue
        if places is None:
            places = _header(row)
            if places:
                continue
            places = _unnamed(reading, row)
        question, answer = (_at(row, places.get(name)) for name in ("question", "answer"))
        if not question or not answer:
            empty.append(number)
            continue
        if "category" in places and (now := _at(row, places["category"])) != category:
            category = now
            reading.add("heading", category or "—", level=2)
        similar = _SEPARATOR.split(question) + _SEPARATOR.split(_at(row, places.get("similar")))
        asked = list(dict.fromkeys(cleaned(each)[:MAX_CELL_CHARACTERS] for each in similar))
        reading.add(
            "question", f"{' / '.join(filter(None, asked))[:MAX_HEADING_CHARACTERS]}\n{answer}"
        )
    if places is None:
        raise Unreadable(gettext_noop("There is nothing in it."))
    if empty:
        reading.note(
            gettext_noop("Rows without a question or an answer were left out: %(rows)s."),
            rows=", ".join(map(str, empty[:_NOTED_ROWS]))
            + ("…" if len(empty) > _NOTED_ROWS else ""),
        )


def _limited(reading: Reading, rows: Iterable[list[str]]) -> Iterator[list[str]]:
    filled = 0
    for row in rows:
        if filled >= MAX_ROWS:
            reading.note(
                gettext_noop("Only the first %(most)s rows were read."), most=f"{MAX_ROWS:,}"
            )
            return
        filled += any(value.strip() for value in row)
        yield row[:MAX_COLUMNS]


def _header(row: list[str]) -> dict[str, int]:
    """Which column is what, when the row names both a question and an answer."""
    found: dict[str, int] = {}
    for place, name in enumerate(row):
        wanted = " ".join(name.casefold().replace("_", " ").split()).removeprefix("\ufeff")
        for meaning, names in _NAMES.items():
            if wanted in names:
                found.setdefault(meaning, place)
    return found if {"question", "answer"} <= found.keys() else {}


def _unnamed(reading: Reading, row: list[str]) -> dict[str, int]:
    filled = [place for place, value in enumerate(row) if value.strip()]
    if len(filled) < 2:
        raise Unreadable(
            gettext_noop(
                "A table needs two columns, “question” and “answer” (or 问题 and 答案), named in its first row."
            )
        )
    reading.note(
        gettext_noop(
            "No column is called “question” and “answer”: the first two were taken for them."
        )
    )
    return {"question": filled[0], "answer": filled[1]}


def _at(row: list[str], place: int | None) -> str:
    return (
        row[place][:MAX_CELL_CHARACTERS].strip() if place is not None and place < len(row) else ""
    )
