"""The files that a stage learns from: single files, patterns, and the directories that the corpus stage writes."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ml_core.data.errors import DataError
from ml_core.pretraining.recipe_file import OUTPUT
from ml_core.registry.artifact import sha256_file
from ml_core.training.options import ConfigError

TRAIN_SHARDS = "train-*.jsonl.gz"
VALIDATION_SHARD = "validation.jsonl.gz"
_KINDS = (".jsonl", ".ndjson", ".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Source:
    """``path`` is a file, a pattern or a directory of the corpus stage. ``weight``: how often each row is seen in an
    epoch on average, 0.5 for half of them each time, 2 for all of them twice. ``source``: of a corpus only the rows of
    this source. ``licence`` is for the model card."""

    path: str
    weight: float = 1.0
    source: str = ""
    licence: str = ""

    @classmethod
    def read_all(cls, value: Any, name: str) -> tuple[Source, ...]:
        """The sources of a setting: one path or a list of paths and of mappings. Raises ConfigError."""
        entries = value if isinstance(value, (list, tuple)) else [value]
        found = []
        for number, entry in enumerate(entries, start=1):
            values = dict(entry) if isinstance(entry, Mapping) else {"path": entry}
            unknown = sorted(set(map(str, values)) - set(cls.__dataclass_fields__))
            where = f"{name}, entry {number}"
            if unknown:
                raise ConfigError(f"{where}: unknown key {unknown[0]!r}")
            if not isinstance(values.get("path"), (str, Path)) or not str(values["path"]):
                raise ConfigError(f"{where}: path: missing")
            try:
                weight = float(values.get("weight", 1.0))
            except (TypeError, ValueError):
                raise ConfigError(f"{where}: weight: not a number") from None
            if not 0 < weight <= 1000:
                raise ConfigError(f"{where}: weight: must be above 0 and at most 1000")
            texts = {key: str(values.get(key, "")) for key in ("source", "licence")}
            found.append(cls(str(values["path"]), weight, **texts))
        if not found:
            raise ConfigError(f"{name}: names no file")
        return tuple(found)

    @property
    def name(self) -> str:
        """What a reader knows it by: its file, or the stage that wrote it, and the source."""
        path = Path(self.path)
        name = path.parent.name.rpartition("-")[0] if path.name == OUTPUT else path.name
        return " ".join(filter(None, (name, self.source)))

    def files(self) -> list[Path]:
        """The files to train on, in order. Raises DataError where there are none."""
        path = Path(self.path)
        if path.is_dir():
            found = sorted(path.glob(TRAIN_SHARDS))
            if not found:
                raise DataError(
                    f"has no {TRAIN_SHARDS}; is it a directory of the corpus stage?", path=path
                )
            return found
        pattern = str(path.relative_to(path.anchor))
        found = [path] if path.is_file() else sorted(Path(path.anchor).glob(pattern))
        if not found:
            raise DataError("no such file", path=path)
        return found

    def validation_files(self) -> list[Path]:
        """The validation part of a corpus; nothing for other files."""
        file = Path(self.path) / VALIDATION_SHARD
        return [file] if file.is_file() else []

    def times(self, text: str) -> int:
        """How often ``text`` is taken where the rows are the same in every epoch: the part of the weight behind the
        point decides by the text's hash."""
        return int(self.weight) + (text_number(text) // 100 % 10_000 < (self.weight % 1) * 10_000)

    def records(self, files: Sequence[Path], names: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """The texts called ``names`` of every row of ``files``. Rows of a corpus that lack one, as its documents lack
        translations, are passed over; in other files it is an error. In a .tsv without a header the columns are taken
        in the order of ``names``."""
        corpus = Path(self.path).is_dir()
        for file in files:
            for line, record in read_records(file, names):
                if self.source and record.get("source") != self.source:
                    continue
                texts = tuple(record.get(name) for name in names)
                if all(isinstance(text, str) and text.strip() for text in texts):
                    yield texts  # type: ignore[misc]  # all are texts
                elif not corpus:
                    lacking = next(n for n, t in zip(names, texts, strict=True) if not t)
                    raise DataError("there is no text", path=file, line=line, column=lacking)


def read_records(path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, cells by name) of a .jsonl, .csv, .tsv or .txt file, gzipped or not. A .txt has one text a line, a .tsv
    without the header ``names`` its texts in the order of ``names``. Raises DataError."""
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind.lower() not in _KINDS:
        raise DataError(f"unknown kind of file; known: {', '.join(_KINDS)} (and .gz)", path=path)
    try:
        with _open(path) as file:
            yield from _READERS[kind.lower()](file, path, names)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error


def text_number(text: str) -> int:
    """A number of 64 bits that follows from the text alone."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def sha256_files(files: Sequence[Path]) -> str:
    """One SHA-256 over the contents of files in order."""
    if len(files) == 1:
        return sha256_file(files[0])
    return hashlib.sha256("".join(sha256_file(file) for file in files).encode()).hexdigest()


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open("r", encoding="utf-8-sig", newline="")


def _json_lines(
    file: TextIO, path: Path, names: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    del names
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise DataError(f"not valid JSON: {error}", path=path, line=line) from None
        if not isinstance(record, dict):
            raise DataError("not a JSON object", path=path, line=line)
        yield line, record


def _comma_separated(
    file: TextIO, path: Path, names: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(file)
    lacking = [name for name in names if name not in (reader.fieldnames or ())]
    if lacking:
        raise DataError("there is no such column", path=path, column=lacking[0])
    for record in reader:
        yield reader.line_num, record


def _tab_separated(
    file: TextIO, path: Path, names: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    header = list(names)
    for line, text in enumerate(file, start=1):
        cells = text.rstrip("\r\n").split("\t")
        if line == 1 and set(names) <= set(cells):
            header = cells
        elif any(cells):
            yield line, dict(zip(header, cells, strict=False))


def _lines(file: TextIO, path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    del path
    for line, text in enumerate(file, start=1):
        if text.strip():
            yield line, {names[0]: text.strip()}


_READERS = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _comma_separated,
    ".tsv": _tab_separated,
    ".txt": _lines,
}
