"""Read labelled texts from CSV, JSONL and Parquet; every fault is reported with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_core.data.encoding import decode_utf8
from ml_core.data.errors import DataError

MAX_FIELD_CHARACTERS = 1_000_000

# One cell of a row: what was there (None where the column is missing in this row), before any
# check.
_Row = tuple[int, Any, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its label (empty when the file carries none) from ``line`` of its file."""

    text: str
    label: str
    line: int = field(default=0, compare=False)


def read_examples(
    path: Path | str,
    *,
    text: str = "text",
    label: str = "label",
    require_label: bool = True,
) -> list[Example]:
    """Read all examples of a ``.csv``, ``.jsonl`` (``.ndjson``) or ``.parquet`` file, in order.

    ``text`` and ``label`` name the columns. Labels are stripped of surrounding white space; texts
    are kept as they are. Without ``require_label`` a missing label column or empty label is "".

    Raises DataError (file, line, column, what is wrong) for a missing or empty file, another
    encoding than UTF-8, NUL bytes, a missing column, an empty text or label, a field over a million
    characters, or a value that is not text.
    """
    path = Path(path)
    readers = {
        ".csv": _csv_rows,
        ".jsonl": _jsonl_rows,
        ".ndjson": _jsonl_rows,
        ".parquet": _parquet_rows,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"unknown kind of file {path.suffix!r}; expected {', '.join(readers)}", path=path
        )
    if not path.is_file():
        problem = "is a directory, not a file" if path.is_dir() else "no such file"
        raise DataError(problem, path=path)
    examples = [
        Example(
            text=_text_value(text_cell, path, line, text),
            label=_label_value(label_cell, path, line, label, required=require_label),
            line=line,
        )
        for line, text_cell, label_cell in reader(path, text, label, require_label)
    ]
    if not examples:
        raise DataError("no rows", path=path)
    return examples


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None


def _csv_rows(path: Path, text: str, label: str, require_label: bool) -> Iterator[_Row]:
    content = decode_utf8(_read_bytes(path), path)
    # The limit is the csv module's own global; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        text_at, label_at = _columns(header, path, text, label, require_label)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{len(cells)} fields where the header has {len(header)}", path=path, line=line
                )
            yield line, cells[text_at], None if label_at is None else cells[label_at]
    except csv.Error as error:
        problem = str(error)
        if "unexpected end of data" in problem:
            problem = "a quoted field that begins here is never closed"
        elif "field larger than field limit" in problem:
            problem = f"a field of more than {MAX_FIELD_CHARACTERS:,} characters"
        raise DataError(problem, path=path, line=line) from None


def _columns(
    header: list[str], path: Path, text: str, label: str, require_label: bool
) -> tuple[int, int | None]:
    wanted = [text, label] if require_label else [text]
    for name in wanted:
        if name not in header:
            found = ", ".join(repr(column) for column in header[:20]) or "nothing"
            raise DataError(f"no column {name!r}; the header has {found}", path=path, line=1)
    for name in (text, label):
        if header.count(name) > 1:
            raise DataError("the column appears twice", path=path, line=1, column=name)
    return header.index(text), header.index(label) if label in header else None


def _jsonl_rows(path: Path, text: str, label: str, require_label: bool) -> Iterator[_Row]:
    content = decode_utf8(_read_bytes(path), path)
    for line, source in enumerate(content.split("\n"), start=1):
        if not source.strip():
            continue
        try:
            row = json.loads(source)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(f"not valid JSON: {reason}", path=path, line=line) from None
        if not isinstance(row, dict):
            raise DataError("not a JSON object", path=path, line=line)
        for name in [text, label] if require_label else [text]:
            if name not in row:
                raise DataError(f"no key {name!r}", path=path, line=line)
        yield line, row[text], row.get(label)


def _parquet_rows(path: Path, text: str, label: str, require_label: bool) -> Iterator[_Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        _, label_at = _columns(names, path, text, label, require_label)
        wanted = [text] if label_at is None else [text, label]
        row_number = 0
        for batch in file.iter_batches(columns=wanted):
            for row in batch.to_pylist():
                row_number += 1
                yield row_number, row[text], row.get(label)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        first_line = str(error).partition("\n")[0]
        raise DataError(f"not a readable Parquet file: {first_line}", path=path) from None


def _text_value(value: Any, path: Path, line: int, column: str) -> str:
    if not isinstance(value, str):
        kind = "missing" if value is None else f"a {type(value).__name__}, not text"
        raise DataError(f"the text is {kind}", path=path, line=line, column=column)
    if len(value) > MAX_FIELD_CHARACTERS:
        problem = f"a field of more than {MAX_FIELD_CHARACTERS:,} characters"
        raise DataError(problem, path=path, line=line, column=column)
    if not value.strip():
        raise DataError("the text is empty", path=path, line=line, column=column)
    _check_characters(value, path, line, column)
    return value


def _label_value(value: Any, path: Path, line: int, column: str, *, required: bool) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None:
        value = ""
    if not isinstance(value, str):
        problem = f"the label is a {type(value).__name__}, not text or a whole number"
        raise DataError(problem, path=path, line=line, column=column)
    stripped = value.strip()
    if required and not stripped:
        raise DataError("the label is empty", path=path, line=line, column=column)
    _check_characters(stripped, path, line, column)
    return stripped


def _check_characters(value: str, path: Path, line: int, column: str) -> None:
    if "\0" in value:
        raise DataError("a NUL character", path=path, line=line, column=column)
    try:
        value.encode()
    except UnicodeEncodeError:
        # JSON may spell half of a surrogate pair, which no encoder can write.
        problem = "a lone surrogate (half a character)"
        raise DataError(problem, path=path, line=line, column=column) from None
