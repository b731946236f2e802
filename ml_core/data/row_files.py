"""Raw records of CSV, JSONL, Parquet, CoNLL and plain text files, as a stream.

One broken record never costs another one: every reader tells ``on_problem`` about what it cannot
read and goes on behind it. What makes the whole file useless (its kind, encoding or columns) is
raised. Memory does not grow with the file.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from ml_core.data.errors import DataError

MAX_LINE_BYTES = 2_000_000
MAX_FIELD_CHARACTERS = 1_000_000

_SAMPLE_LINES = 2000
# With more undecodable lines than this share, the file as a whole is in another encoding.
_BAD_LINE_SHARE = 0.1
_PARQUET_BATCH = 1000
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
# A field of a CoNLL file may hold a no-break space: only blanks and tabs part fields.
_BLANKS = re.compile(r"[ \t]+")
_CONLL_COMMENT = re.compile(r"#\s*(id\b|text\b|sent_id\b|global\.|newdoc|newpar|\S+\s*=)")


class RowError(DataError):
    """A record that cannot be used. ``template % values`` is the problem, so that it can be told
    in another language."""

    def __init__(
        self,
        template: str,
        values: Mapping[str, Any] | None = None,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        self.template = template
        self.values = dict(values or {})
        # The record as it was read, where reading got that far.
        self.record: Mapping[str, Any] | None = None
        super().__init__(template % self.values, path=path, line=line, column=column)

    def at(self, path: Path | str | None, line: int | None) -> RowError:
        """The same problem with its place."""
        return RowError(self.template, self.values, path=path, line=line, column=self.column)


OnProblem = Callable[[RowError], None]
# The record's line (of Parquet: its number; both from 1) and its cells by column.
Record = tuple[int, dict[str, Any]]


def csv_records(path: Path, needed: Collection[str], on_problem: OnProblem) -> Iterator[Record]:
    """Records of a CSV file with a header that has all ``needed`` columns, each once."""
    check_encoding(path)
    # The limit is the csv module's own global; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    with path.open("rb") as file:
        lines = _Lines(file, path, on_problem)
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        while True:
            lines.start_record()
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                if header is None:
                    raise RowError(
                        "The header cannot be read: %(problem)s.", {"problem": error}, path=path
                    ) from error
                template, values = _csv_problem(error)
                on_problem(RowError(template, values, path=path, line=lines.taken[0][0]))
                lines.give_back()
                continue
            if not cells:
                continue
            line = lines.taken[0][0]
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_columns(header, needed, path)
            elif len(cells) != len(header):
                on_problem(
                    RowError(
                        "%(found)d fields where the header has %(wanted)d",
                        {"found": len(cells), "wanted": len(header)},
                        path=path,
                        line=line,
                    )
                )
            else:
                yield line, dict(zip(header, cells, strict=True))
        if header is None:
            raise RowError("The file is empty.", path=path)


def jsonl_records(path: Path, needed: Collection[str], on_problem: OnProblem) -> Iterator[Record]:
    """Records of a file with one JSON object a line; each has all ``needed`` keys."""
    check_encoding(path)
    with path.open("rb") as file:
        lines = _Lines(file, path, on_problem)
        for source in lines:
            line = lines.taken[-1][0]
            lines.start_record()
            if not source.strip():
                continue
            try:
                record = json.loads(source)
            except (ValueError, RecursionError) as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                on_problem(
                    RowError(
                        "not valid JSON: %(reason)s",
                        {"reason": reason[:200]},
                        path=path,
                        line=line,
                    )
                )
                continue
            if not isinstance(record, dict):
                on_problem(RowError("not a JSON object", path=path, line=line))
                continue
            missing = [name for name in needed if name not in record]
            if missing:
                on_problem(
                    RowError("there is no such key", path=path, line=line, column=missing[0])
                )
                continue
            yield line, record


def parquet_records(path: Path, needed: Collection[str], on_problem: OnProblem) -> Iterator[Record]:
    """Records of a Parquet file that has all ``needed`` columns."""
    del on_problem  # a Parquet file is whole or it is not
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        file = parquet.ParquetFile(path)
        _check_columns(file.schema_arrow.names, needed, path)
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RowError(
            "It is not a readable Parquet file: %(problem)s",
            {"problem": str(error).partition("\n")[0][:200]},
            path=path,
        ) from error


def text_records(path: Path, needed: Collection[str], on_problem: OnProblem) -> Iterator[Record]:
    """Lines of a plain text file as {"text"}; empty lines are left out."""
    del needed
    check_encoding(path)
    with path.open("rb") as file:
        lines = _Lines(file, path, on_problem)
        for source in lines:
            line = lines.taken[-1][0]
            lines.start_record()
            if source.strip():
                yield line, {"text": source.rstrip("\r\n")}


def conll_records(path: Path, needed: Collection[str], on_problem: OnProblem) -> Iterator[Record]:
    """Sentences of a column file as {"tokens", "tags"}: a token a line, an empty line between.

    The first column is the token, the last the tag; columns are parted by tabs if the line has
    one, else by blanks. Without a second column there are no tags. ``-DOCSTART-`` lines number the
    documents (metadata column "document"), comment lines are left out.
    """
    check_encoding(path)
    sentence = _Sentence(path, "tags" in needed, on_problem)
    document = 0
    with path.open("rb") as file:
        lines = _Lines(file, path, sentence.unreadable)
        for text in lines:
            line = lines.taken[-1][0]
            lines.start_record()
            source = text.rstrip("\r\n")
            fields = source.split("\t") if "\t" in source else _BLANKS.split(source.strip(" "))
            ends = not source.strip(" \t")
            if ends or fields[0] == "-DOCSTART-":
                yield from sentence.end(document)
                document += not ends
            elif not (sentence.between and _CONLL_COMMENT.match(source)):
                sentence.add(line, fields)
    yield from sentence.end(document)


class _Sentence:
    """The lines of a CoNLL file since the last empty one."""

    def __init__(self, path: Path, tagged: bool, on_problem: OnProblem) -> None:
        self._path = path
        self._tagged = tagged
        self._on_problem = on_problem
        self._columns = 0
        self._start()

    def _start(self) -> None:
        self._tokens: list[str] = []
        self._tags: list[str] = []
        self._first = 0
        self._broken = False

    @property
    def between(self) -> bool:
        return not self._tokens and not self._broken

    def add(self, line: int, fields: list[str]) -> None:
        self._columns = self._columns or len(fields)
        self._first = self._first or line
        if self._broken:
            return
        if len(fields) != self._columns:
            self.unreadable(
                RowError(
                    "%(found)d columns where the first line has %(wanted)d; its sentence is"
                    " left out",
                    {"found": len(fields), "wanted": self._columns},
                    path=self._path,
                    line=line,
                )
            )
            return
        self._tokens.append(fields[0])
        self._tags.append(fields[-1].strip() if len(fields) > 1 else "")

    def unreadable(self, error: RowError) -> None:
        """The sentence around the line is not whole: it is left out."""
        self._broken = True
        self._on_problem(error)

    def end(self, document: int) -> Iterator[Record]:
        if self._tokens and not self._broken:
            record: dict[str, Any] = {"tokens": self._tokens}
            if self._tagged or any(self._tags):
                record["tags"] = self._tags
            if document:
                record["document"] = document
            yield self._first, record
        self._start()


class _Lines:
    """The lines of a file as text, numbered from 1; those that cannot be read are told and left
    out.

    ``taken`` collects what was handed out since ``start_record``, and ``give_back`` returns all of
    it but the first line: how reading goes on behind a CSV row with a stray quote.
    """

    def __init__(self, file: BinaryIO, path: Path, on_problem: OnProblem) -> None:
        self._file = file
        self._path = path
        self._on_problem = on_problem
        self._number = 0
        self._pending: list[tuple[int, str]] = []
        self.taken: list[tuple[int, str]] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        item = self._pending.pop() if self._pending else self._read()
        self.taken.append(item)
        return item[1]

    def start_record(self) -> None:
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
                self._tell("longer than %(limit)s bytes", {"limit": f"{MAX_LINE_BYTES:,}"})
                continue
            if b"\0" in raw:
                self._tell("contains a NUL byte")
                continue
            try:
                return self._number, raw.decode("utf-8-sig" if self._number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                self._tell(
                    "not UTF-8 (byte 0x%(byte)02x); it looks like %(guess)s",
                    {"byte": raw[error.start], "guess": _guess_encoding(raw[error.start :])},
                )

    def _tell(self, template: str, values: Mapping[str, Any] | None = None) -> None:
        self._on_problem(RowError(template, values, path=self._path, line=self._number))

    def _skip_rest(self) -> None:
        while True:
            raw = self._file.readline(MAX_LINE_BYTES)
            if not raw or raw.endswith(b"\n"):
                return


def _csv_problem(error: csv.Error) -> tuple[str, dict[str, Any]]:
    text = str(error)
    if "unexpected end of data" in text or "field larger" in text:
        return "a quoted field that begins here is never closed", {}
    return "%(problem)s", {"problem": text}


def _check_columns(header: list[str], needed: Collection[str], path: Path) -> None:
    for column in needed:
        if column not in header:
            found = ", ".join(f"“{name[:40]}”" for name in header[:20])
            raise RowError(
                "There is no column “%(column)s”; the file has %(found)s.",
                {"column": column, "found": found},
                path=path,
            )
    for column in header:
        if column and header.count(column) > 1:
            raise RowError("The column “%(column)s” is there twice.", {"column": column}, path=path)


def check_encoding(path: Path) -> None:
    """Refuse a file that is not UTF-8 text at all; single broken lines are told one by one later.

    Raises RowError naming the likely encoding.
    """
    with path.open("rb") as file:
        sample = file.read(4096)
        if sample.startswith((b"PK\x03\x04", b"\x1f\x8b", b"PAR1")):
            raise RowError(
                "The file is compressed or a spreadsheet; save it as plain CSV.", path=path
            )
        for mark, name in _MARKS:
            if sample.startswith(mark):
                raise _not_utf8(path, name)
        if sample.count(0) > len(sample) // 4:
            raise _not_utf8(path, "UTF-16")
        file.seek(0)
        lines = bad = 0
        guess = ""
        for _ in range(_SAMPLE_LINES):
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
                    bad -= 1  # cut inside a character, most likely; refused as too long
        if bad > lines * _BAD_LINE_SHARE:
            raise _not_utf8(path, guess)


def _guess_encoding(window: bytes) -> str:
    """Chinese in GBK is pairs of high bytes that decode to common ideographs; accented Latin
    letters stand alone."""
    window = window[:200]
    ideographs = sum("\u4e00" <= c <= "\u9fff" for c in window.decode("gb18030", "replace"))
    high = sum(byte >= 0x80 for byte in window)
    pairs = sum(a >= 0x81 and b >= 0xA1 for a, b in pairwise(window))
    return "GBK (GB18030)" if ideographs and pairs * 2 >= high else "Latin-1 (Windows-1252)"


def _not_utf8(path: Path, guess: str) -> RowError:
    return RowError(
        "The file looks like %(encoding)s; save it as UTF-8 and import it again.",
        {"encoding": guess},
        path=path,
    )
