"""What a corpus is made from and how: the YAML of ``corpus``."""

from __future__ import annotations

import difflib
import glob
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ml_core.training.config import read_yaml
from ml_core.training.options import ConfigError

Kind = Literal["documents", "pairs", "matches"]
Format = Literal[
    "text", "jsonl", "json", "csv", "tsv", "parquet", "wiki", "po", "tmx", "cedict", "dialogues"
]
Script = Literal["keep", "simplified", "both"]

# The texts of a row of each kind: a document; a translation; a text and one that belongs to it.
PARTS: dict[str, tuple[str, ...]] = {
    "documents": ("text",),
    "pairs": ("zh", "en"),
    "matches": ("anchor", "positive"),
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One body of texts.

    ``path`` is a file or a pattern; for a line-aligned translation a mapping of ``zh`` and ``en`` to two text files.
    ``text`` says which columns are read: of documents one or several (joined by a line break), of pairs and matches a
    mapping of ``zh`` and ``en``, or ``anchor`` and ``positive``, to columns. ``columns`` names the columns of a CSV or
    TSV file that has no header. ``members`` is a pattern for the names inside a tar or zip archive.
    """

    name: str
    path: str | dict[str, str]
    kind: Kind = "documents"
    format: Format = "jsonl"
    text: str | tuple[str, ...] | dict[str, str] = ""
    columns: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("zh", "en")
    members: str = "*"
    encoding: str = "utf-8"
    licence: str = "not stated"
    # Records that are read, from the first on; 0 for all of them.
    limit: int = 0
    # What differs from the corpus's `Quality` here: headlines are shorter than articles.
    quality: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"source {self.name!r}"
        if not self.name:
            raise ConfigError("sources: every source needs a name")
        _one_of(self.kind, Kind, f"{where}: kind")
        _one_of(self.format, Format, f"{where}: format")
        parts = PARTS[self.kind]
        if isinstance(self.path, dict) and (set(self.path) != set(parts) or self.format != "text"):
            raise ConfigError(
                f"{where}: path: a mapping must be of {' and '.join(parts)}, with format text"
            )
        if self.kind == "documents":
            if isinstance(self.text, dict):
                raise ConfigError(f"{where}: text: documents have columns, not a mapping")
        elif self.text and (not isinstance(self.text, dict) or set(self.text) != set(parts)):
            raise ConfigError(f"{where}: text: must map {' and '.join(parts)} to columns")
        if self.limit < 0:
            raise ConfigError(f"{where}: limit: must not be negative")
        self.judged_by(Quality())

    def judged_by(self, quality: Quality) -> Quality:
        """``quality`` with what differs for this source. Raises ConfigError for what it has not."""
        made: Quality = _build(
            Quality, asdict(quality) | self.quality, f"source {self.name!r}: quality"
        )
        return made

    def columns_of(self) -> dict[str, tuple[str, ...]]:
        """The columns that each text of a row is made of."""
        if isinstance(self.text, dict):
            return {part: (column,) for part, column in self.text.items()}
        if self.kind != "documents":
            return {part: (part,) for part in PARTS[self.kind]}
        columns = (self.text,) if isinstance(self.text, str) else self.text
        return {"text": tuple(filter(None, columns)) or ("text",)}

    def files(self) -> list[dict[str, Path]]:
        """The files to read in order; an aligned translation has two at a time, others one, called "". Raises
        ConfigError where there are none."""
        if isinstance(self.path, dict):
            found = {part: Path(path).expanduser() for part, path in self.path.items()}
            for path in found.values():
                if not path.is_file():
                    raise ConfigError(f"source {self.name!r}: {path}: no such file")
            return [found]
        pattern = str(Path(self.path).expanduser())
        # Path.glob takes no absolute pattern.
        paths = [Path(each) for each in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
        paths = [path for path in paths if path.is_file()]
        if not paths:
            raise ConfigError(f"source {self.name!r}: {self.path}: no such file")
        return [{"": path} for path in paths]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Where a text stops being worth learning from. The shares follow Gopher (Rae et al. 2021, table A1) and C4 (Raffel
    et al. 2020), and were set on Wikipedia of both languages. Characters do not count white space."""

    # Of documents; a Chinese character counts as two, as it says about as much as half an English word.
    min_characters: int = 40
    max_characters: int = 200_000
    # Of the texts of pairs and matches.
    min_pair_characters: int = 1
    max_pair_characters: int = 2_000
    # Letters and Chinese characters among all characters but punctuation, at least.
    letters: float = 0.6
    # The same of each text of a pair: "It's 3:30." is a sentence.
    pair_letters: float = 0.4
    # Characters in lines that stood before in the same text, at most.
    repeated_lines: float = 0.3
    # Characters in 5-grams of words (10-grams of Chinese characters) that stood before, at most.
    repeated_ngrams: float = 0.25
    # Characters of mark-up and code: < > { } [ ] | \ = _ # and their like, at most.
    markup: float = 0.08
    # Characters in lines of boilerplate: cookies, rights, navigation, at most.
    boilerplate: float = 0.3
    # Of a pair: the longer side over the shorter, in characters that count as above, at most; short pairs may differ.
    length_ratio: float = 4.0


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """How a corpus is prepared. Raises ConfigError for what cannot be."""

    sources: tuple[Source, ...]
    out: Path
    # Traditional characters stay, become Simplified, or a row with some is written both ways.
    script: Script = "keep"
    # CC-CEDICT, whose first two columns are the same word in both scripts.
    script_table: Path | None = None
    # Texts that must not be trained on, as they judge the model.
    exclude: tuple[Source, ...] = ()
    quality: Quality = field(default_factory=Quality)
    mask_personal: bool = True
    # The share of rows that validate; which ones follows from the text alone.
    validation: float = 0.005
    # Texts as similar as this (estimated Jaccard) are near-duplicates; 0 removes only exact ones.
    near_duplicates: float = 0.8
    # How many texts are remembered to compare with: about 400 bytes each.
    remembered: int = 1_000_000
    shard_characters: int = 50_000_000
    # What tokens are counted with: a base model.
    tokenizer: str = "packaged"
    # Processes that read and judge; what comes out is the same.
    workers: int = 1

    def __post_init__(self) -> None:
        if not self.sources:
            raise ConfigError("sources: names no source")
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"sources: {name!r} is there twice")
        _one_of(self.script, Script, "script")
        if self.script != "keep" and self.script_table is None:
            raise ConfigError(f"script_table: missing; script {self.script!r} needs CC-CEDICT")
        for name, low, high in (
            ("validation", 0, 0.5),
            ("near_duplicates", 0, 1),
            ("remembered", 1, 100_000_000),
            ("shard_characters", 1000, 10**10),
            ("workers", 1, 256),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name}: must be from {low} to {high}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from keys and values as a YAML file has them. Raises ConfigError for a key that is unknown (naming the
        nearest), missing, or of the wrong kind."""
        given = dict(values)
        for name in ("sources", "exclude"):
            entries = given.get(name) or []
            if not isinstance(entries, (list, tuple)):
                raise ConfigError(f"{name}: must be a list")
            given[name] = tuple(
                each
                if isinstance(each, Source)
                else _build(Source, _named(each, number), f"{name}, entry {number}")
                for number, each in enumerate(entries, start=1)
            )
        quality = given.get("quality") or {}
        if not isinstance(quality, Quality):
            given["quality"] = _build(Quality, quality, "quality")
        made: Self = _build(cls, given, "")
        return made

    @classmethod
    def from_yaml(cls, path: Path | str, **overrides: Any) -> Self:
        """Build from a YAML file; ``overrides`` win. Raises ConfigError."""
        return cls.from_mapping(read_yaml(path) | overrides)


def _named(entry: Any, number: int) -> Any:
    """A source without a name has that of its file."""
    if not isinstance(entry, Mapping) or entry.get("name"):
        return entry
    path = entry.get("path")
    path = next(iter(path.values()), "") if isinstance(path, Mapping) and path else path
    return {"name": f"{Path(str(path)).name.partition('.')[0] or number}", **entry}


def _build(kind: Any, values: Any, where: str) -> Any:
    prefix = f"{where}: " if where else ""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{prefix}must be a mapping")
    known = {each.name: each for each in fields(kind)}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{prefix}unknown key {str(key)!r}{hint}")
    for name, each in known.items():
        needed = each.default is MISSING and each.default_factory is MISSING
        if needed and values.get(name) in (None, "", ()):
            raise ConfigError(f"{prefix}{name}: missing")
    try:
        return kind(**{key: _converted(known[key], value) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{prefix}{error}") from None


def _converted(each: Any, value: Any) -> Any:
    """``value`` as the annotation of a field wants it; annotations are texts here."""
    kind = str(each.type)
    if value is None:
        return None
    if kind in {"int", "float"}:
        return _number(each.name, value, whole=kind == "int")
    if kind == "bool" and not isinstance(value, bool):
        raise ValueError(f"{each.name}: must be true or false")
    if kind == "tuple[str, ...]" and isinstance(value, str):
        return (value,)
    if kind.startswith("Path"):
        return Path(str(value)).expanduser()
    if isinstance(value, Mapping):
        # Paths and columns; a number of a source's quality is checked where it is used.
        plain = (int, float)
        return {str(k): v if isinstance(v, plain) else str(v) for k, v in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _number(name: str, value: Any, *, whole: bool) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"{name}: must be a number, not {value!r}")
    if whole and not number.is_integer():
        raise ValueError(f"{name}: must be a whole number, not {value!r}")
    return int(number) if whole else number


def _one_of(value: Any, choices: Any, where: str) -> None:
    known = get_args(choices)
    if value not in known:
        raise ConfigError(f"{where}: {value!r} is none of {', '.join(known)}")
