"""Import examples from a file: good rows are kept, bad rows are reported with their line."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.utils.translation import gettext as _

from rootstock.common.actors import Actor
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import Dataset
from rootstock.modelhub.services.datasets import (
    AddResult,
    NewExample,
    example_problems,
    examples_added,
    insert_examples,
)

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
MAX_LINE_BYTES = 2_000_000
MAX_PROBLEMS = 200
_BATCH_ROWS = 1000
_SAMPLE_LINES = 2000
# With more undecodable lines than this share, the file as a whole is in another encoding.
_BAD_LINE_SHARE = 0.1
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


@dataclass(frozen=True)
class ImportProblem:
    """A row that was left out: its line (counted from 1, the header included; the row's number in Parquet) and why."""

    line: int
    column: str
    detail: str


@dataclass
class ImportReport:
    """What became of a file. `problems` holds the first 200; `problem_count` counts them all."""

    rows: int = 0
    added: int = 0
    duplicates: int = 0
    unlabelled: int = 0
    problem_count: int = 0
    problems: list[ImportProblem] = field(default_factory=list)
    conflicts: list[dict[str, str]] = field(default_factory=list)

    def note(self, line: int, detail: str, column: str = "") -> None:
        """Count a bad row."""
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(ImportProblem(line, column, detail))


# A row of any format: line, text cell, label cell (None: the row has none).
_Row = tuple[int, Any, Any]


def dataset_import(
    *,
    dataset: Dataset,
    path: Path,
    actor: Actor,
    file_name: str = "",
    text_column: str = "text",
    label_column: str = "label",
    on_progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Add the rows of a CSV, JSONL or Parquet file (by the suffix of `file_name`, default `path`) to a data set.

    An empty label waits for a person; with an empty `label_column` all labels do. The file is read as a stream: memory
    does not grow with it. `on_progress` is told the number of rows read.

    Raises:
        ModelhubError: the file as a whole cannot be used (kind, encoding, columns); then nothing is added.
    """
    name = "".join(c for c in file_name or path.name if c.isprintable())
    kind = FORMATS.get(Path(name).suffix.lower())
    if kind is None:
        raise _unusable(
            _("Use a .csv, .jsonl or .parquet file, not “%(name)s”.") % {"name": name[:80]}
        )
    report, result = ImportReport(), AddResult()
    if kind != "parquet":
        _check_encoding(path)
    columns = (text_column, label_column)
    reader = {"csv": _csv_rows, "jsonl": _jsonl_rows, "parquet": _parquet_rows}[kind]
    batch: list[NewExample] = []
    for line, text, label in reader(path, columns, report):
        report.rows += 1
        example = _example(line, text, label, columns, report)
        if example is not None:
            batch.append(example)
            report.unlabelled += not example.label
        if len(batch) == _BATCH_ROWS:
            insert_examples(dataset, batch, source=name[:120], result=result)
            batch.clear()
        if on_progress is not None and report.rows % _BATCH_ROWS == 0:
            on_progress(report.rows)
    insert_examples(dataset, batch, source=name[:120], result=result)
    if not report.rows and not report.problem_count:
        raise _unusable(_("The file has no rows."))
    report.added, report.duplicates = result.added, result.duplicates
    report.conflicts = result.conflicts
    report.problems.sort(key=lambda problem: problem.line)
    examples_added(dataset=dataset, result=result, actor=actor, source=name[:120])
    return report


def _example(
    line: int, text: Any, label: Any, columns: tuple[str, str], report: ImportReport
) -> NewExample | None:
    text_column, label_column = columns
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    label = "" if label is None else label
    for column, value in ((text_column, text), (label_column, label)):
        if not isinstance(value, str):
            detail = _("missing") if value is None else _("a %(kind)s, not text")
            report.note(line, detail % {"kind": type(value).__name__}, column)
            return None
    example = NewExample(text=text, label=label.strip())
    problems = example_problems(example)
    for place, detail in problems:
        report.note(line, detail, text_column if place == "text" else label_column)
    return None if problems else example


class _Lines:
    """The lines of a file as text, numbered from 1; those that cannot be read are noted and left out.

    `taken` collects what was handed out since `start_row`, and `give_back` returns all of it but the first line: how
    reading goes on behind a CSV row with a stray quote.
    """

    def __init__(self, file: BinaryIO, report: ImportReport) -> None:
        self._file = file
        self._report = report
        self._number = 0
        self._pending: list[tuple[int, str]] = []
        self.taken: list[tuple[int, str]] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        item = self._pending.pop() if self._pending else self._read()
        self.taken.append(item)
        return item[1]

    def start_row(self) -> None:
        self.taken = []

    def give_back(self) -> None:
        self._pending += reversed(self.taken[1:])

    def _read(self) -> tuple[int, str]:
        while True:
            raw = self._file.readline(MAX_LINE_BYTES)
            if not raw:
                raise StopIteration
            self._number += 1
            if not raw.endswith(b"\n") and len(raw) == MAX_LINE_BYTES:
                self._skip_rest()
                detail = _("longer than %(limit)s bytes") % {"limit": f"{MAX_LINE_BYTES:,}"}
                self._report.note(self._number, detail)
                continue
            if b"\0" in raw:
                self._report.note(self._number, _("contains a NUL byte"))
                continue
            try:
                return self._number, raw.decode("utf-8-sig" if self._number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                detail = _("not UTF-8 (byte 0x%(byte)02x); it looks like %(guess)s") % {
                    "byte": raw[error.start],
                    "guess": _guess_encoding(raw[error.start :]),
                }
                self._report.note(self._number, detail)

    def _skip_rest(self) -> None:
        while True:
            raw = self._file.readline(MAX_LINE_BYTES)
            if not raw or raw.endswith(b"\n"):
                return


def _csv_rows(path: Path, columns: tuple[str, str], report: ImportReport) -> Iterator[_Row]:
    with path.open("rb") as file:
        lines = _Lines(file, report)
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        while True:
            lines.start_row()
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                first = lines.taken[0][0]
                if header is None:
                    raise _unusable(
                        _("The header cannot be read: %(problem)s.") % {"problem": error}
                    ) from error
                report.note(first, _csv_problem(error))
                lines.give_back()
                continue
            if not cells:
                continue
            line = lines.taken[0][0]
            if header is None:
                header = [cell.strip() for cell in cells]
                places = _columns(header, columns)
            elif len(cells) != len(header):
                detail = _("%(found)d fields where the header has %(wanted)d") % {
                    "found": len(cells),
                    "wanted": len(header),
                }
                report.note(line, detail)
            else:
                text_at, label_at = places
                yield line, cells[text_at], None if label_at is None else cells[label_at]
        if header is None:
            raise _unusable(_("The file is empty."))


def _csv_problem(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text or "field larger" in text:
        return _("a quoted field that begins here is never closed")
    return text


def _jsonl_rows(path: Path, columns: tuple[str, str], report: ImportReport) -> Iterator[_Row]:
    text_column, label_column = columns
    with path.open("rb") as file:
        lines = _Lines(file, report)
        for source in lines:
            line = lines.taken[-1][0]
            lines.start_row()
            if not source.strip():
                continue
            try:
                row = json.loads(source)
            except (ValueError, RecursionError) as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                report.note(line, _("not valid JSON: %(reason)s") % {"reason": reason[:200]})
                continue
            if not isinstance(row, dict):
                report.note(line, _("not a JSON object"))
                continue
            missing = [column for column in columns if column and column not in row]
            if missing:
                report.note(line, _("there is no such key"), missing[0])
                continue
            yield line, row[text_column], row[label_column] if label_column else None


def _parquet_rows(path: Path, columns: tuple[str, str], report: ImportReport) -> Iterator[_Row]:
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        text_at, label_at = _columns(names, columns)
        wanted = [names[text_at]] if label_at is None else [names[text_at], names[label_at]]
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
            for row in batch.to_pylist():
                number += 1
                yield number, row[columns[0]], row[columns[1]] if columns[1] else None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = str(error).partition("\n")[0][:200]
        raise _unusable(
            _("It is not a readable Parquet file: %(problem)s") % {"problem": problem}
        ) from error


def _columns(header: list[str], columns: tuple[str, str]) -> tuple[int, int | None]:
    for column in columns:
        if not column:
            continue
        if column not in header:
            found = ", ".join(f"“{name[:40]}”" for name in header[:20])
            raise _unusable(
                _("There is no column “%(column)s”; the file has %(found)s.")
                % {"column": column, "found": found}
            )
        if header.count(column) > 1:
            raise _unusable(_("The column “%(column)s” is there twice.") % {"column": column})
    text_column, label_column = columns
    return header.index(text_column), header.index(label_column) if label_column else None


def _check_encoding(path: Path) -> None:
    """Refuse a file that is not UTF-8 text at all; single broken lines are reported one by one later."""
    with path.open("rb") as file:
        sample = file.read(4096)
        if sample.startswith((b"PK\x03\x04", b"\x1f\x8b", b"PAR1")):
            raise _unusable(_("The file is compressed or a spreadsheet; save it as plain CSV."))
        for mark, name in _MARKS:
            if sample.startswith(mark):
                raise _not_utf8(name)
        if sample.count(0) > len(sample) // 4:
            raise _not_utf8("UTF-16")
        file.seek(0)
        lines = bad = 0
        guess = ""
        for _number in range(_SAMPLE_LINES):
            raw = file.readline(MAX_LINE_BYTES)
            if not raw:
                break
            lines += 1
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                bad += 1
                guess = guess or _guess_encoding(raw[error.start :])
                if len(raw) == MAX_LINE_BYTES:
                    bad -= 1  # cut inside a character, most likely; the row is refused as too long
        if bad > lines * _BAD_LINE_SHARE:
            raise _not_utf8(guess)


def _guess_encoding(window: bytes) -> str:
    """Chinese in GBK is pairs of high bytes that decode to common ideographs; accented Latin letters stand alone."""
    window = window[:200]
    ideographs = sum("\u4e00" <= c <= "\u9fff" for c in window.decode("gb18030", "replace"))
    high = sum(byte >= 0x80 for byte in window)
    pairs = sum(a >= 0x81 and b >= 0xA1 for a, b in itertools.pairwise(window))
    return "GBK (GB18030)" if ideographs and pairs * 2 >= high else "Latin-1 (Windows-1252)"


def _not_utf8(guess: str) -> ModelhubError:
    return _unusable(
        _("The file looks like %(encoding)s; save it as UTF-8 and import it again.")
        % {"encoding": guess}
    )


def _unusable(problem: str) -> ModelhubError:
    return ModelhubError("file-unusable", problem, errors=[{"pointer": "/file", "detail": problem}])
