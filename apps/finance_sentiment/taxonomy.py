"""The topics an organisation starts with, and the kinds of events: names and the words they are known by."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).with_name("taxonomy.toml")


@dataclass(frozen=True, slots=True)
class Term:
    """A topic or a kind of event. `terms` are words in English and Chinese; a "*" ends the beginning of a word."""

    slug: str
    name: str
    name_zh: str
    terms: tuple[str, ...]


@functools.cache
def _read() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


@functools.cache
def _section(section: str) -> tuple[Term, ...]:
    return tuple(
        Term(slug, row["en"], row["zh"], tuple(row["terms"]))
        for slug, row in _read()[section].items()
    )


def topics_built_in() -> tuple[Term, ...]:
    """The taxonomy to start from."""
    return _section("topics")


def event_kinds() -> tuple[Term, ...]:
    """The kinds of events; of several in a text the first counts."""
    return _section("events")


def event_label(slug: str, language: str) -> str:
    """The name of a kind of event; an unknown one as it is, with spaces."""
    for kind in event_kinds():
        if kind.slug == slug:
            return kind.name_zh if language.startswith("zh") else kind.name
    return slug.replace("-", " ")
