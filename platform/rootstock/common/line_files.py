"""Rows in files that people bring: CSV and JSON lines, plain or gzipped, read line by line in bounded memory."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from django.utils.translation import gettext as _

# No row of ours is longer.
MAX_LINE_BYTES = 1_000_000
_LOOK_BYTES = 200_000


class FileRefused(ValueError):
    """The file as a whole cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used. Lines count from 1; the header of a CSV file is line 1."""

    line: int
    reason: str
    column: str = ""


def rows_read(
    file: IO[bytes],
    *,
    name: str,
    fields: Collection[str],
    needed: Collection[str],
    aliases: Mapping[str, str] | None = None,
    encoding: str = "",
) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Every row of a file with its line, in order; those that are no rows as what is wrong with them.

    The name's ending says what the file is: `.csv`, `.jsonl` or `.ndjson`, with or without `.gz`. Of a CSV file only
    the columns in `fields` are given, and `needed` must be among them; `aliases` are other names of columns.

    Raises:
        FileRefused: unknown kind, wrong encoding, damaged archive, missing columns.
    """
    kind, stream = _opened(file, name)
    encoding = _encoding(stream, encoding)
    names = _Names(fields, needed, aliases or {})
    rows = _csv_rows(stream, encoding, names) if kind == "csv" else _json_rows(stream, encoding)
    try:
        for line, row in rows:
            yield line, row if isinstance(row, BadRow) else names.known(row)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileRefused(_("The archive is damaged: %(error)s") % {"error": error}) from error


@dataclass(frozen=True, slots=True)
class _Names:
    fields: Collection[str]
    needed: Collection[str]
    aliases: Mapping[str, str]

    def header(self, names: Iterable[str]) -> list[str]:
        """The columns of a CSV file by our names."""
        plain = [name.strip().casefold() for name in names]
        return [self.aliases.get(name, name) for name in plain]

    def known(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row by our names; a column under its own name wins over an alias."""
        found = {self.aliases.get(key, key): value for key, value in row.items()}
        return found | {key: row[key] for key in self.fields if key in row}


def _opened(file: IO[bytes], name: str) -> tuple[str, io.BufferedReader]:
    endings = Path(name.casefold()).suffixes
    if endings and endings[-1] == ".gz":
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        endings.pop()
    ending = endings[-1] if endings else ""
    if ending == ".csv":
        kind = "csv"
    elif ending in (".jsonl", ".ndjson"):
        kind = "jsonl"
    else:
        raise FileRefused(
            _("“%(name)s” is neither .csv nor .jsonl (each may be gzipped: .csv.gz, .jsonl.gz).")
            % {"name": name}
        )
    return kind, io.BufferedReader(cast("io.RawIOBase", file), _LOOK_BYTES)


def _encoding(stream: io.BufferedReader, given: str) -> str:
    """The encoding that the file is in: the given one, else UTF-8 or a refusal that names it."""
    if given:
        try:
            "".encode(given)
        except LookupError as error:
            raise FileRefused(_("There is no encoding “%(name)s”.") % {"name": given}) from error
        return given
    try:
        head = stream.peek(_LOOK_BYTES)[:_LOOK_BYTES]
    except (EOFError, OSError, zlib.error) as error:
        raise FileRefused(_("The archive is damaged: %(error)s") % {"error": error}) from error
    found = _foreign_encoding(head)
    if found:
        raise FileRefused(
            _(
                "The file is not UTF-8 but looks like %(name)s. Save it as UTF-8, or say so with --encoding %(name)s."
            )
            % {"name": found}
        )
    return "utf-8-sig"


def _foreign_encoding(head: bytes) -> str | None:
    """The name of what the bytes look like; None for UTF-8."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.count(0) > len(head) // 4:
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    # One bad line among good ones is that line's fault; a character cut off at the end is nobody's.
    lines = head.split(b"\n")[:-1] or [head]
    bad = [line for line in lines if not _is_text(line, "utf-8")]
    if len(bad) * 3 < len(lines) or not bad:
        return None
    text = b"\n".join(bad)
    if _is_text(text, "gb18030"):
        decoded = text.decode("gb18030")
        chinese = sum("\u4e00" <= character <= "\u9fff" for character in decoded)
        foreign = sum(not character.isascii() for character in decoded)
        if chinese * 2 > foreign and chinese * 8 > len(decoded):
            return "gb18030"
    return "cp1252" if _is_text(text, "cp1252") else "latin-1"


def _is_text(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _lines(stream: io.BufferedReader, encoding: str) -> Iterator[tuple[int, str | BadRow]]:
    """Numbered lines of text; one that is too long or cannot be decoded comes as what is wrong."""
    if encoding.replace("_", "-").casefold().startswith("utf-16"):
        # Its line ends are not single bytes; the wrapper decodes first.
        for number, text in enumerate(io.TextIOWrapper(stream, encoding, newline=""), start=1):
            yield number, text
        return
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(MAX_LINE_BYTES)
            yield (
                number,
                BadRow(
                    number,
                    _("The line is longer than %(limit)d bytes.") % {"limit": MAX_LINE_BYTES},
                ),
            )
            continue
        try:
            yield number, raw.decode(encoding)
        except UnicodeDecodeError as error:
            yield (
                number,
                BadRow(
                    number,
                    _("Byte %(place)d of the line is not %(encoding)s.")
                    % {"place": error.start + 1, "encoding": encoding.removesuffix("-sig")},
                ),
            )


def _json_rows(stream: io.BufferedReader, encoding: str) -> Iterator[tuple[int, Any]]:
    for number, text in _lines(stream, encoding):
        if isinstance(text, BadRow):
            yield number, text
        elif text.strip():
            yield number, _json_value(number, text)


def _json_value(number: int, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        detail = _("This is not JSON: %(error)s (column %(column)d).") % {
            "error": error.msg,
            "column": error.colno,
        }
        return BadRow(number, detail)
    except (RecursionError, ValueError):
        return BadRow(number, _("This JSON is nested too deeply or has a number too long."))
    if not isinstance(value, dict):
        return BadRow(number, _("The line is not an object with named fields."))
    return value


class _CsvLines:
    """Lines for the csv module; bad ones are kept aside, for a reader cannot be told of them."""

    def __init__(self, lines: Iterable[tuple[int, str | BadRow]]) -> None:
        self._lines = iter(lines)
        # the first line of the row that is being read
        self.first = 0
        self.bad: list[BadRow] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            line, text = next(self._lines)
            if isinstance(text, str):
                self.first = self.first or line
                return text
            self.bad.append(text)


def _first_row(reader: Iterator[list[str]]) -> list[str]:
    try:
        return next(reader, [])
    except csv.Error as error:
        raise FileRefused(_("This is not CSV: %(error)s.") % {"error": error}) from error


def _csv_rows(stream: io.BufferedReader, encoding: str, names: _Names) -> Iterator[tuple[int, Any]]:
    lines = _CsvLines(_lines(stream, encoding))
    reader = csv.reader(lines)
    header = names.header(_first_row(reader))
    missing = [name for name in names.needed if name not in header]
    if missing:
        raise FileRefused(
            _("The first line must name the columns; missing: %(missing)s. There are: %(all)s.")
            % {"missing": ", ".join(missing), "all": ", ".join(names.fields)}
        )
    while True:
        lines.first = 0
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield (
                lines.first,
                BadRow(lines.first, _("This is not CSV: %(error)s.") % {"error": error}),
            )
            continue
        while lines.bad:
            bad = lines.bad.pop(0)
            yield bad.line, bad
        if not values:
            continue
        if len(values) > len(header):
            detail = _("%(count)d fields, but the header names %(expected)d; is a quote missing?")
            yield (
                lines.first,
                BadRow(lines.first, detail % {"count": len(values), "expected": len(header)}),
            )
            continue
        row = dict(zip(header, values, strict=False))
        yield lines.first, {name: row[name] for name in names.fields if name in row}
    for bad in lines.bad:
        yield bad.line, bad
