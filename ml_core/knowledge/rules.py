"""Rules and gazetteer entries, and the files they are written in.

YAML::

    rules:
      - name: stolen
        label: lost_or_stolen_card
        phrases: [stole my card, card was stolen]
        strength: hard
      - label: exchange_rate
        regex: "exchange (rate|fee)s?"
    gazetteer:
      ORG: [Goldman Sachs, 贵州茅台]

CSV of rules: ``label,pattern`` and, if wanted, ``kind`` (phrase or regex), ``strength`` and ``name``
(rows of one name are one rule). CSV of a gazetteer: ``surface,type``.
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import numpy as np

from ml_core.data.encoding import decode_utf8
from ml_core.data.errors import DataError
from ml_core.knowledge.phrases import PhraseMatcher
from ml_core.text.normal import normalise

STRENGTHS = ("soft", "hard")
KINDS = ("phrase", "regex")
MAX_REGEX_CHARACTERS = 2000
MAX_FILE_BYTES = 20_000_000

_RULE_COLUMNS = ("label", "pattern", "kind", "strength", "name")


class RuleError(ValueError):
    """A rule that cannot be used: what is wrong with it."""


@dataclass(frozen=True)
class Rule:
    """A text in which one of ``phrases`` occurs, or that ``regex`` matches, speaks for ``label``.

    Case and width do not count. Phrases of alphabetic languages are found as whole words. A regular
    expression has RE2's syntax, which takes time linear in the text whatever the pattern: it has no
    look-around and no back-references. A "soft" rule adds to the label's logit what it is worth on
    the validation part, a "hard" one decides. Raises RuleError.
    """

    label: str
    phrases: tuple[str, ...] = ()
    regex: str = ""
    strength: str = "soft"
    name: str = ""
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not self.label:
            raise RuleError("the label is empty")
        if self.strength not in STRENGTHS:
            raise RuleError(f"strength {self.strength!r} is unknown; use {' or '.join(STRENGTHS)}")
        if bool(self.phrases) == bool(self.regex):
            raise RuleError("a rule has either phrases or a regex")
        if not all(map(normalise, self.phrases)):
            raise RuleError("a phrase is empty")
        if self.regex and self._regex.search("") is not None:
            raise RuleError(f"regex {self.regex!r} matches the empty text, so every text")
        if not self.name:
            pattern = self.regex or ", ".join(self.phrases)
            shown = pattern if len(pattern) <= 40 else pattern[:39] + "…"
            object.__setattr__(self, "name", f"{self.label}: {shown}")

    def fires(self, text: str) -> bool:
        return bool(RuleMatcher([self]).fires([text])[0, 0])

    def regex_matches(self, normal_text: str) -> bool:
        """Whether the regular expression matches a text in its normal form."""
        return self._regex.search(normal_text) is not None

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "name": self.name,
            "label": self.label,
            "strength": self.strength,
        }
        return values | ({"phrases": list(self.phrases)} if self.phrases else {"regex": self.regex})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(**values | {"phrases": tuple(values.get("phrases", ()))})

    @functools.cached_property
    def _regex(self) -> Any:
        import re2

        if len(self.regex) > MAX_REGEX_CHARACTERS:
            raise RuleError(f"the regex has more than {MAX_REGEX_CHARACTERS} characters")
        options = re2.Options()
        options.case_sensitive = False
        options.log_errors = False
        try:
            return re2.compile(self.regex, options)
        except re2.error as error:
            reason = error.args[0] if error.args else "not valid"
            if isinstance(reason, bytes):
                reason = reason.decode(errors="replace")
            raise RuleError(
                f"regex {self.regex!r}: {reason} (look-around and back-references are not supported)"
            ) from None


@dataclass(frozen=True)
class Entry:
    """A name of the gazetteer and the type of entity it is."""

    surface: str
    type: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Knowledge:
    """What a file of rules and gazetteer entries holds."""

    rules: tuple[Rule, ...] = ()
    entries: tuple[Entry, ...] = ()


def read_knowledge(
    path: Path | str,
    *,
    labels: Collection[str] | None = None,
    entity_types: Collection[str] | None = None,
) -> Knowledge:
    """Read a ``.yaml``, ``.yml`` or ``.csv`` file of rules and gazetteer entries.

    With ``labels`` (``entity_types``) every label (type) must be one of them. Raises DataError with
    the file, the line and what is wrong there: a pattern that does not compile, an unknown label,
    key or strength, two rules of one name, a surface given two types.
    """
    path = Path(path)
    if path.suffix.lower() not in {".yaml", ".yml", ".csv"}:
        raise DataError(
            f"unknown kind of file {path.suffix!r}; expected .yaml, .yml or .csv", path=path
        )
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    if len(raw) > MAX_FILE_BYTES:
        raise DataError(f"larger than {MAX_FILE_BYTES // 1_000_000} MB", path=path)
    content = decode_utf8(raw, path)
    if path.suffix.lower() == ".csv":
        knowledge = _read_csv(content, path)
    else:
        from ml_core.knowledge.yaml_rules import parse_yaml

        knowledge = parse_yaml(content, path)
    if not knowledge.rules and not knowledge.entries:
        raise DataError("no rules and no gazetteer entries", path=path)
    _check_names(knowledge, path, labels, entity_types)
    return knowledge


class RuleMatcher:
    """Finds which of ``rules`` fire; the phrases of all of them are looked for at once."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._count = len(rules)
        owned = [(number, phrase) for number, rule in enumerate(rules) for phrase in rule.phrases]
        self._owners = [number for number, _ in owned]
        self._phrases = PhraseMatcher(normalise(phrase) for _, phrase in owned)
        self._regexes = [(number, rule) for number, rule in enumerate(rules) if rule.regex]

    def fires(self, texts: Sequence[str]) -> np.ndarray:
        """Which rule fires on which text: bool of shape (texts, rules)."""
        fires = np.zeros((len(texts), self._count), dtype=bool)
        for row, text in enumerate(texts):
            normal = normalise(text)
            fires[row, [self._owners[found] for found in self._phrases.occurring(normal)]] = True
            matched = [number for number, rule in self._regexes if rule.regex_matches(normal)]
            fires[row, matched] = True
        return fires


def make_rule(path: Path, line: int, **values: Any) -> Rule:
    """A rule of a file; what is wrong with it becomes a DataError of that line."""
    try:
        return Rule(line=line, **values)
    except RuleError as error:
        raise DataError(str(error), path=path, line=line) from None


def suggestion(name: str, known: Collection[str]) -> str:
    """What to say about an unknown name: the nearest known one, else the first of them."""
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = ", ".join(list(known)[:10])
    return f"known are: {shown}{' …' if len(known) > 10 else ''}"


def _read_csv(content: str, path: Path) -> Knowledge:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        rows = list(_numbered_rows(reader))
    except csv.Error as error:
        raise DataError(str(error), path=path, line=reader.line_num) from None
    if not rows:
        return Knowledge()
    first_line, header = rows[0][0], [name.strip() for name in rows[0][1]]
    gazetteer = set(header) == {"surface", "type"}
    if not gazetteer and not ({"label", "pattern"} <= set(header) <= set(_RULE_COLUMNS)):
        raise DataError(
            "the header must be surface,type or label,pattern with, if wanted, "
            "kind, strength and name",
            path=path,
            line=first_line,
        )
    records = []
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            problem = f"{len(cells)} fields where the header has {len(header)}"
            raise DataError(problem, path=path, line=line)
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        records.append((line, values))
    if gazetteer:
        return Knowledge(entries=tuple(_csv_entry(path, line, row) for line, row in records))
    return Knowledge(rules=_csv_rules(path, records))


def _numbered_rows(reader: Any) -> Iterator[tuple[int, list[str]]]:
    line = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


def _csv_entry(path: Path, line: int, row: dict[str, str]) -> Entry:
    for column in ("surface", "type"):
        if not row[column]:
            raise DataError("is empty", path=path, line=line, column=column)
    return Entry(row["surface"], row["type"], line)


def _csv_rules(path: Path, records: list[tuple[int, dict[str, str]]]) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    named: dict[str, int] = {}
    for line, row in records:
        kind = row.get("kind") or "phrase"
        if kind not in KINDS:
            problem = f"kind {kind!r} is unknown; use phrase or regex"
            raise DataError(problem, path=path, line=line)
        if not row["pattern"]:
            raise DataError("is empty", path=path, line=line, column="pattern")
        pattern: dict[str, Any] = (
            {"phrases": (row["pattern"],)} if kind == "phrase" else {"regex": row["pattern"]}
        )
        name = row.get("name", "")
        rule = make_rule(
            path,
            line,
            label=row["label"],
            strength=row.get("strength") or "soft",
            name=name,
            **pattern,
        )
        if name not in named:
            if name:
                named[name] = len(rules)
            rules.append(rule)
            continue
        first = rules[named[name]]
        if (
            (first.label, first.strength) != (rule.label, rule.strength)
            or first.regex
            or kind == "regex"
        ):
            raise DataError(
                f"rule {name!r} of line {first.line} has another label, kind or strength; only "
                "phrases of one label can share a name",
                path=path,
                line=line,
            )
        rules[named[name]] = replace(first, phrases=(*first.phrases, *rule.phrases))
    return tuple(rules)


def _check_names(
    knowledge: Knowledge,
    path: Path,
    labels: Collection[str] | None,
    entity_types: Collection[str] | None,
) -> None:
    names: dict[str, int] = {}
    for rule in knowledge.rules:
        if labels is not None and rule.label not in labels:
            problem = f"label {rule.label!r} is unknown; {suggestion(rule.label, labels)}"
            raise DataError(problem, path=path, line=rule.line)
        if rule.name in names:
            problem = f"a rule {rule.name!r} is already on line {names[rule.name]}"
            raise DataError(problem, path=path, line=rule.line)
        names[rule.name] = rule.line
    for entry in knowledge.entries:
        if entity_types is not None and entry.type not in entity_types:
            problem = f"type {entry.type!r} is unknown; {suggestion(entry.type, entity_types)}"
            raise DataError(problem, path=path, line=entry.line)
    from ml_core.knowledge.gazetteer import conflicting

    clash = conflicting(knowledge.entries)
    if clash is not None:
        first, second = clash
        raise DataError(
            f"{second.surface!r} is {second.type} here and {first.type} on line {first.line}; "
            "keep one",
            path=path,
            line=second.line,
        )
