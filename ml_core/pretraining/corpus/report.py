"""What a corpus holds, and what was left out of it and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ml_core.pretraining.corpus.config import Source
from ml_core.pretraining.corpus.judging import Judged
from ml_core.pretraining.corpus.quality import RULES

_EXAMPLES = 3


@dataclass
class SourceReport:
    """Counts of one source. ``languages`` has ``rows``, ``characters`` and ``tokens`` of each language; a pair counts
    for each of its sides. ``dropped`` counts by rule, ``examples`` holds the first three of each."""

    name: str
    kind: str
    licence: str
    path: str
    read: int = 0
    train: int = 0
    validation: int = 0
    languages: dict[str, dict[str, int]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)
    cut_sentences: int = 0
    shards: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source) -> Self:
        path = source.path if isinstance(source.path, str) else ", ".join(source.path.values())
        return cls(source.name, source.kind, source.licence, path)

    def drop(self, rule: str, example: str) -> None:
        self.dropped[rule] = self.dropped.get(rule, 0) + 1
        shown = self.examples.setdefault(rule, [])
        if len(shown) < _EXAMPLES:
            shown.append(example)

    def keep(self, judged: Judged, *, validation: bool) -> None:
        if validation:
            self.validation += len(judged.rows)
        else:
            self.train += len(judged.rows)
        self.cut_sentences += judged.cut_sentences
        for kind, count in judged.masked.items():
            self.masked[kind] = self.masked.get(kind, 0) + count
        tokens = iter(judged.tokens)
        for row in judged.rows:
            for part, language in _languages(row):
                counts = self.languages.setdefault(
                    language, {"rows": 0, "characters": 0, "tokens": 0}
                )
                counts["rows"] += 1
                counts["characters"] += len(row[part])
                counts["tokens"] += next(tokens)


def _languages(row: Mapping[str, str]) -> list[tuple[str, str]]:
    if "text" in row:
        return [("text", row["language"])]
    if "zh" in row:
        return [("zh", "zh"), ("en", "en")]
    return [("anchor", row["language"]), ("positive", row["language"])]


@dataclass(frozen=True)
class CorpusReport:
    """What `prepare_corpus` did. ``fingerprint`` follows from the settings and the sources' files."""

    out: Path
    fingerprint: str
    sources: tuple[SourceReport, ...]
    held_out: int
    settings: dict[str, Any]

    @property
    def rows(self) -> int:
        return sum(each.train + each.validation for each in self.sources)

    def total(self, count: str, language: str | None = None) -> int:
        """ "rows", "characters" or "tokens" of all sources, in one language or all."""
        return sum(
            counts[count]
            for each in self.sources
            for code, counts in each.languages.items()
            if language in {None, code}
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "rows": self.rows,
            "characters": self.total("characters"),
            "tokens": self.total("tokens"),
            "held_out": self.held_out,
            "sources": [asdict(each) for each in self.sources],
            "settings": self.settings,
        }

    @classmethod
    def from_dict(cls, out: Path, values: Mapping[str, Any]) -> Self:
        return cls(
            out,
            values["fingerprint"],
            tuple(SourceReport(**each) for each in values["sources"]),
            values["held_out"],
            values["settings"],
        )

    def to_markdown(self) -> str:
        """REPORT.md: what is in it, from where and under which licence; what was dropped, with examples."""
        parts = ["# Corpus", "", self._summary(), "", "## Sources", "", *self._sources(), ""]
        parts += [
            "## Languages",
            "",
            *self._language_table(),
            "",
            "## Left out",
            "",
            *self._dropped(),
            "",
        ]
        for each in self.sources:
            parts += _examples(each)
        return "\n".join(parts).rstrip() + "\n"

    def _summary(self) -> str:
        validation = sum(each.validation for each in self.sources)
        masked: dict[str, int] = {}
        for each in self.sources:
            for kind, count in each.masked.items():
                masked[kind] = masked.get(kind, 0) + count
        hidden = ", ".join(f"{count:,} `<{kind}>`" for kind, count in sorted(masked.items()))
        cut = sum(each.cut_sentences for each in self.sources)
        return (
            f"{self.rows:,} rows ({validation:,} to validate on), {self.total('characters'):,} characters, "
            f"{self.total('tokens'):,} tokens of `{self.settings['tokenizer']}`. Script: {self.settings['script']}. "
            f"Personal data masked: {hidden or 'none'}. Held out: {self.held_out:,} texts; "
            f"{cut:,} sentences were cut out of documents for that. Fingerprint `{self.fingerprint[:16]}`."
        )

    def _sources(self) -> list[str]:
        return _table(
            ("Source", "Kind", "Read", "Train", "Validation", "Licence"),
            [
                (e.name, e.kind, f"{e.read:,}", f"{e.train:,}", f"{e.validation:,}", e.licence)
                for e in self.sources
            ],
        )

    def _language_table(self) -> list[str]:
        return _table(
            ("Source", "Language", "Texts", "Characters", "Tokens"),
            [
                (e.name, code, *(f"{counts[key]:,}" for key in ("rows", "characters", "tokens")))
                for e in self.sources
                for code, counts in sorted(e.languages.items())
            ],
        )

    def _dropped(self) -> list[str]:
        rules = [rule for rule in RULES if any(rule in each.dropped for each in self.sources)]
        return _table(
            ("Rule", "What it drops", *(each.name for each in self.sources)),
            [
                (f"`{rule}`", RULES[rule], *(f"{e.dropped.get(rule, 0):,}" for e in self.sources))
                for rule in rules
            ],
        )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [lines[0], "|" + " --- |" * len(header), *lines[1:]]


def _examples(report: SourceReport) -> list[str]:
    if not report.examples:
        return []
    # An example is a text of anybody's: it must not become mark-up here.
    lines = [
        f"- `{rule}`: `{example.replace('`', chr(39))}`"
        for rule in RULES
        for example in report.examples.get(rule, ())
    ]
    return [f"## Left out of {report.name}", "", *lines, ""]
