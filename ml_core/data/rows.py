"""The rows of every task: what they look like, reading and writing them.

====================================  =============================================================
task                                  row
====================================  =============================================================
text-classification                   ``{"text", "label"}``
multi-label-classification            ``{"text", "labels": [..]}``; in CSV parted by ``|``
token-classification                  ``{"tokens": [..], "tags": [..]}`` with BIO tags
span-classification                   ``{"text", "spans": [[start, end]..], "labels": [..]}``, a label a
                                      span; or spans as ``{"start", "end", "label"}``
text-embedding                        ``{"anchor", "positive", "negative"?}`` or
                                      ``{"anchor", "positive", "score": 0..1}``
reranking                             ``{"query", "document", "label": 0 or 1}``
text-generation                       ``{"messages": [{"role", "content"}..]}`` or
                                      ``{"prompt", "response"}``
image-classification                  ``{"image": path relative to the file, "label"}``
next-item                             ``{"user"?, "items": [id..]}`` in the order of time
masked-language-model                 ``{"text"}``
====================================  =============================================================

A row without its answer (what a person or model adds: label, labels, tags, score, response) has no
such key. All other columns of a file are the row's metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_core.data.images import image_records
from ml_core.data.row_files import (
    OnProblem,
    Record,
    RowError,
    conll_records,
    csv_records,
    jsonl_records,
    parquet_records,
    text_records,
)
from ml_core.data.row_parsing import (
    FIELDS,
    ROLES,
    TASKS,
    Row,
    TaskFields,
    bio_tags,
    parse_identifier,
    parse_row,
    parse_text,
    task_fields,
)
from ml_core.data.row_views import (
    is_answered,
    join_tokens,
    row_identity,
    row_messages,
    row_question,
    row_text,
)
from ml_core.data.row_writing import write_rows

__all__ = [
    "FIELDS",
    "ROLES",
    "TASKS",
    "Row",
    "RowError",
    "TaskFields",
    "bio_tags",
    "is_answered",
    "join_tokens",
    "parse_row",
    "read_items",
    "read_rows",
    "row_identity",
    "row_messages",
    "row_question",
    "row_text",
    "task_fields",
    "write_rows",
]


def read_rows(
    path: Path | str,
    task: str,
    *,
    columns: Mapping[str, str] | None = None,
    require_answer: bool = True,
    on_problem: OnProblem | None = None,
) -> Iterator[Row]:
    """Rows of a .csv, .jsonl (.ndjson) or .parquet file, as a stream.

    For token-classification any other file is read as CoNLL columns, for masked-language-model a
    .txt is a text a line, for image-classification a directory or .zip has one folder a label
    (``ml_core.data.images.read_image`` reads what a row names). ``columns`` gives the file's column
    for a key; "" says that the file has none, which only an answer may lack.

    With ``on_problem`` bad rows are told and left out; without, the first one is raised.

    Raises RowError (a DataError: file, line, column, what is wrong): a file that is missing, empty
    or cannot be read at all, or lacks a column.
    """
    path = Path(path)
    columns = dict(columns or {})
    fields = FIELDS[task]
    reader = _reader(path, task)
    absent = {name for name, column in columns.items() if not column}
    renamed = {column: name for name, column in columns.items() if column and column != name}
    needed = [columns.get(name) or name for name in fields.required]
    if fields.answer and fields.answer not in fields.optional and fields.answer not in absent:
        needed.append(columns.get(fields.answer) or fields.answer)
    seen = 0

    def tell(error: RowError) -> None:
        nonlocal seen
        seen += 1
        if on_problem is None:
            raise error
        on_problem(error)

    for line, record in reader(path, needed, tell):
        cells = _rename(record, renamed, absent) if columns else record
        try:
            row = parse_row(
                task, cells, require_answer=require_answer and fields.answer not in absent
            )
        except RowError as error:
            column = columns.get(error.column or "", error.column)
            told = RowError(error.template, error.values, path=path, line=line, column=column)
            told.record = record
            tell(told)
            continue
        seen += 1
        yield Row(row.content, row.metadata, line)
    if not seen:
        raise RowError("The file has no rows.", path=path)


def read_items(
    path: Path | str, *, on_problem: OnProblem | None = None
) -> Iterator[tuple[str, str]]:
    """(id, text) of a next-item task's item file, as a stream. Raises RowError like `read_rows`."""
    path = Path(path)

    def tell(error: RowError) -> None:
        if on_problem is None:
            raise error
        on_problem(error)

    for line, record in _reader(path, "next-item")(path, ("id", "text"), tell):
        try:
            yield parse_identifier(record["id"], "id"), parse_text(record["text"], "text")
        except RowError as error:
            tell(error.at(path, line))


def _reader(path: Path, task: str) -> Callable[[Path, Sequence[str], OnProblem], Iterator[Record]]:
    if not path.exists():
        raise RowError("no such file", path=path)
    kind = path.suffix.lower()
    if task == "image-classification" and (path.is_dir() or kind == ".zip"):
        return lambda source, needed, tell: image_records(source, tell)
    if path.is_dir():
        raise RowError("is a directory, not a file", path=path)
    if kind in _READERS:
        return _READERS[kind]
    if task == "token-classification":
        return conll_records
    if task == "masked-language-model" and kind == ".txt":
        return text_records
    raise RowError(
        "unknown kind of file “%(kind)s”; use .csv, .jsonl or .parquet", {"kind": kind}, path=path
    )


_READERS: dict[str, Callable[[Path, Sequence[str], OnProblem], Iterator[Record]]] = {
    ".csv": csv_records,
    ".jsonl": jsonl_records,
    ".ndjson": jsonl_records,
    ".parquet": parquet_records,
}


def _rename(record: dict[str, Any], renamed: Mapping[str, str], absent: set[str]) -> dict[str, Any]:
    """A column of a key's name that the key is not read from is left out: it would be mistaken."""
    taken = set(renamed.values()) | absent
    return {
        renamed.get(column, column): value
        for column, value in record.items()
        if column in renamed or column not in taken
    }
