"""Records of a source as a stream: what archives hold, decompressed and parsed piece by piece.

Memory grows with the longest record, not with the file. One broken record never costs another one: it is yielded as
`Broken`. What makes a whole file useless is raised as DataError.
"""

from __future__ import annotations

import bz2
import csv
import fnmatch
import gzip
import html
import itertools
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from ml_core.data.errors import DataError
from ml_core.pretraining.corpus.config import Source
from ml_core.pretraining.corpus.dictionary import entry_of

MAX_LINE_BYTES = 16_000_000
MAX_WHOLE_BYTES = 512_000_000
MAX_FIELD_CHARACTERS = 16_000_000

_BROKEN_FILE = (OSError, EOFError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Broken:
    """A record that cannot be read, and why."""

    reason: str


Record = Mapping[str, Any] | Broken


def read_source(source: Source) -> Iterator[Record]:
    """Every record of ``source``, as columns by name. Raises DataError, and ConfigError where there is no file."""
    for files in source.files():
        if "" in files:
            yield from _read_file(files[""], source)
        else:
            yield from _aligned(files, source)


def _read_file(path: Path, source: Source) -> Iterator[Record]:
    if source.format == "parquet":
        yield from _parquet(path)
        return
    try:
        for member, file in _members(path, source.members):
            yield from _FORMATS[source.format](_File(path, member, file, source))
    except _BROKEN_FILE as error:
        raise DataError(f"cannot be read: {error}", path=path) from error


@dataclass(frozen=True)
class _File:
    path: Path
    member: str
    stream: IO[bytes]
    source: Source

    def lines(self) -> Iterator[str | Broken]:
        """Lines without their ends."""
        number = 0
        while line := self.stream.readline(MAX_LINE_BYTES):
            number += 1
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                while (
                    len(rest := self.stream.readline(MAX_LINE_BYTES)) == MAX_LINE_BYTES
                    and rest[-1:] != b"\n"
                ):
                    pass
                yield Broken(f"line {number}: longer than {MAX_LINE_BYTES} bytes")
                continue
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                yield line.decode(self.source.encoding).rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield Broken(f"line {number}: not {self.source.encoding}: {error.reason}")

    def whole(self) -> str:
        """All of it. Raises DataError when it is too large or not text."""
        content = self.stream.read(MAX_WHOLE_BYTES + 1)
        if len(content) > MAX_WHOLE_BYTES:
            raise DataError(
                f"larger than {MAX_WHOLE_BYTES} bytes; this format is read as a whole, use jsonl",
                path=self.path,
            )
        try:
            return content.decode(self.source.encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.member} is not {self.source.encoding}: {error}", path=self.path
            ) from error


def _members(path: Path, pattern: str) -> Iterator[tuple[str, IO[bytes]]]:
    """(name, content) of the files in an archive, or of the one file, decompressed."""
    name = path.name.lower()
    if re.search(r"\.(tar(\.(gz|xz|bz2))?|tgz|txz)$", name):
        # "r|*" never goes back in the file, so that an archive of any size is read once.
        with tarfile.open(path, "r|*") as archive:
            for entry in archive:
                inside = archive.extractfile(entry) if entry.isfile() else None
                if inside is not None and fnmatch.fnmatch(entry.name, pattern):
                    yield entry.name, inside
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path) as zipped:
            for member in zipped.namelist():
                if not member.endswith("/") and fnmatch.fnmatch(member, pattern):
                    with zipped.open(member) as file:
                        yield member, file
    else:
        with _opened(path) as file:
            yield path.name, file


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
    with openers.get(path.suffix.lower(), open)(path, "rb") as file:
        yield file


def _aligned(files: Mapping[str, Path], source: Source) -> Iterator[Record]:
    """Line n of every file is one row."""
    (first, first_path), (second, second_path) = files.items()
    try:
        with _opened(first_path) as one, _opened(second_path) as other:
            pairs = itertools.zip_longest(
                _File(first_path, "", one, source).lines(),
                _File(second_path, "", other, source).lines(),
            )
            for number, (a, b) in enumerate(pairs, start=1):
                if a is None or b is None:
                    shorter = first_path if a is None else second_path
                    raise DataError(
                        "ends before the other file of the pair", path=shorter, line=number
                    )
                broken = next((each for each in (a, b) if isinstance(each, Broken)), None)
                yield broken or {first: a, second: b}
    except _BROKEN_FILE as error:
        raise DataError(f"cannot be read: {error}", path=first_path) from error


def _text(file: _File) -> Iterator[Record]:
    """A document a line."""
    for line in file.lines():
        if isinstance(line, Broken):
            yield line
        elif line.strip():
            yield {"text": line}


def _jsonl(file: _File) -> Iterator[Record]:
    for number, line in enumerate(file.lines(), start=1):
        if isinstance(line, Broken):
            yield line
        elif line.strip():
            yield _object(line, f"line {number}")


def _object(text: str, where: str) -> Record:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Broken(f"{where}: not valid JSON: {error}")
    return value if isinstance(value, dict) else Broken(f"{where}: not a JSON object")


def _whole_json(file: _File) -> Any:
    try:
        return json.loads(file.whole())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file.member} is not valid JSON: {error}", path=file.path) from error


def _json(file: _File) -> Iterator[Record]:
    """Every object in a JSON document, however deep, that has the columns of the source."""
    needed = {column for columns in file.source.columns_of().values() for column in columns}
    stack = [_whole_json(file)]
    while stack:
        value = stack.pop()
        if isinstance(value, dict) and needed <= value.keys():
            lists = {k: " ".join(v) for k, v in value.items() if _texts(v)}
            yield value | lists
        elif isinstance(value, (dict, list)):
            inside = value.values() if isinstance(value, dict) else value
            stack.extend(reversed(list(inside)))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _separated(file: _File) -> Iterator[Record]:
    """CSV with quotes; TSV without, as a quotation mark is part of the text there."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    tabs = file.source.format == "tsv"
    broken: list[Broken] = []

    def good() -> Iterator[str]:
        for line in file.lines():
            if isinstance(line, Broken):
                broken.append(line)
            else:
                yield line + "\n"

    reader = (
        csv.reader(good(), delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(good())
    )
    header = list(file.source.columns)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield Broken(f"line {reader.line_num}: {error}")
            continue
        if not header:
            header = [cell.strip() for cell in cells]
        elif len(cells) == len(header):
            yield dict(zip(header, cells, strict=True))
        elif cells:
            yield Broken(f"line {reader.line_num}: {len(cells)} fields, not {len(header)}")
        while broken:
            yield broken.pop(0)
    yield from broken


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=1000):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"not a readable Parquet file: {error}", path=path) from error


_WIKI_START = re.compile(r'<doc\b[^>]*\btitle="([^"]*)"')
# Brackets from which a template was taken, and separators that it left at their beginning.
_EMPTY_BRACKETS = re.compile(r"[（(][\s、，；：,;:]*[）)]")
_AFTER_BRACKET = re.compile(r"(?<=[（(])[\s、，；,;]+")
# Rows of tables that were not taken out.
_TABLE_ROW = ("!", "|", "{|", "|}")


def _wiki(file: _File) -> Iterator[Record]:
    """Articles of WikiExtractor: ``title``, ``text`` (with the title as its first line), and ``lead``, the first
    paragraph; of the longest paragraph after it one ``sentence`` and the ``rest``, both "" where there is none of
    several sentences (the inverse cloze task, Lee et al. 2019). Articles without a body, such as redirects, are left
    out."""
    title = ""
    body: list[str] = []
    for line in file.lines():
        if isinstance(line, Broken):
            yield line
        elif started := _WIKI_START.match(line):
            title, body = html.unescape(started.group(1)), []
        elif line.startswith("</doc>"):
            lines = [
                _AFTER_BRACKET.sub("", _EMPTY_BRACKETS.sub("", html.unescape(each))).strip()
                for each in body
            ]
            lines = [
                each for each in lines if each and each != title and not each.startswith(_TABLE_ROW)
            ]
            if lines:
                sentence, rest = _cloze(lines[1:])
                yield {
                    "title": title,
                    "lead": lines[0],
                    "text": "\n".join([title, *lines]),
                    "sentence": sentence,
                    "rest": rest,
                }
            body = []
        else:
            body.append(line)


_SENTENCE = re.compile(r"[^。！？!?]+[。！？!?]+[」』”’）]*")
# A shorter sentence seldom says what its paragraph is about.
_SHORTEST_SENTENCE = 12


def _cloze(paragraphs: list[str]) -> tuple[str, str]:
    """A sentence from the middle of the longest paragraph, and the paragraph without it."""
    longest = max(paragraphs, key=len, default="")
    found = _SENTENCE.findall(longest)
    middle = len(found) // 2
    if len(found) < 3 or len(found[middle]) < _SHORTEST_SENTENCE:
        return "", ""
    return found[middle].strip(), "".join(found[:middle] + found[middle + 1 :]).strip()


_PO_ROLE = re.compile(
    r":[\w:+-]+:`([^`<]*?)(?:\s*<[^`]*>)?`|`([^`<]+?)(?:\s*<[^`]*>)?`_{1,2}|``([^`]*)``|`([^`]+)`|\*{1,2}([^*]+)\*{1,2}"
)


def _po(file: _File) -> Iterator[Record]:
    """Messages of a gettext catalogue that are translated and not fuzzy: ``en`` is the msgid, ``zh`` the msgstr, both
    without reStructuredText's roles."""
    fuzzy, field = False, ""
    texts: dict[str, str] = {}

    def finished() -> Iterator[Record]:
        if not fuzzy and texts.get("msgid") and texts.get("msgstr"):
            yield {"en": _plain(texts["msgid"]), "zh": _plain(texts["msgstr"])}

    for line in itertools.chain(file.lines(), [""]):
        if isinstance(line, Broken):
            yield line
            continue
        if not line.strip():
            yield from finished()
            fuzzy, field, texts = False, "", {}
        elif line.startswith("#,"):
            fuzzy = "fuzzy" in line
        elif keyword := re.match(r'(msgid|msgstr)\s+"', line):
            field = keyword.group(1)
        elif not line.startswith('"'):
            field = ""
        quoted = re.search(r'"(.*)"\s*$', line)
        if field and quoted:
            text = quoted.group(1).replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
            texts[field] = texts.get(field, "") + text


def _plain(text: str) -> str:
    return _PO_ROLE.sub(lambda match: next(filter(None, match.groups()), ""), text)


def _tmx(file: _File) -> Iterator[Record]:
    """Units of a translation memory: the text of each language by the first part of its tag."""
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    try:
        # expat itself refuses entities that grow without end.
        events = ElementTree.iterparse(file.stream, ("start", "end"))  # noqa: S314
        body = None
        for event, unit in events:
            if unit.tag == "body":
                body = unit
            if event == "start" or unit.tag != "tu":
                continue
            row = {}
            for variant in unit.iter("tuv"):
                code = variant.get(language) or variant.get("lang") or ""
                segment = variant.find("seg")
                if segment is not None:
                    row[re.split("[-_]", code.lower())[0]] = "".join(segment.itertext())
            # What was read is let go, or the tree would grow with the file.
            (unit if body is None else body).clear()
            yield row
    except ElementTree.ParseError as error:
        raise DataError(f"{file.member} is not valid XML: {error}", path=file.path) from error


def _cedict(file: _File) -> Iterator[Record]:
    """Entries of CC-CEDICT with a plain English sense: ``traditional``, ``simplified`` (also as ``zh``), ``en``."""
    for line in file.lines():
        entry = None if isinstance(line, Broken) else entry_of(line)
        if isinstance(line, Broken):
            yield line
        elif entry is not None and entry.sense:
            yield {
                "traditional": entry.traditional,
                "simplified": entry.simplified,
                "zh": entry.simplified,
                "en": entry.sense,
            }


_TURN_NAMES = ("content", "text", "utterance")


def _dialogues(file: _File) -> Iterator[Record]:
    """Neighbouring turns of JSON dialogues (``messages``, ``turns`` or ``dialogue``: a list of texts, or of objects
    with ``content``, ``text`` or ``utterance``): ``anchor`` and ``positive``, the turn after it; and as ``text`` the
    whole dialogue, a turn a line, with its first pair."""
    stack = [_whole_json(file)]
    while stack:
        value = stack.pop()
        turns = _turns(value) if isinstance(value, dict) else None
        if turns:
            whole = "\n".join(turns)
            for number, (before, after) in enumerate(itertools.pairwise(turns)):
                yield {"anchor": before, "positive": after, "text": "" if number else whole}
        elif isinstance(value, (dict, list)):
            inside = value.values() if isinstance(value, dict) else value
            stack.extend(reversed(list(inside)))


def _turns(value: Mapping[str, Any]) -> list[str] | None:
    listed = next(
        (value[name] for name in ("messages", "turns", "dialogue") if name in value), None
    )
    if not isinstance(listed, list):
        return None
    found = []
    for turn in listed:
        named = (turn.get(name) for name in _TURN_NAMES) if isinstance(turn, dict) else (turn,)
        text = next((each for each in named if isinstance(each, str)), "")
        if text.strip():
            found.append(" ".join(text.split()))
    return found


_FORMATS = {
    "text": _text,
    "jsonl": _jsonl,
    "json": _json,
    "csv": _separated,
    "tsv": _separated,
    "wiki": _wiki,
    "po": _po,
    "tmx": _tmx,
    "cedict": _cedict,
    "dialogues": _dialogues,
}
