"""Fresh headlines: sentence patterns of a topic and sentiment, filled with invented names and figures.

``phrases.toml`` holds the patterns. Each has a figure, so that two headlines of one pattern report
different events: a near-duplicate test that compares figures keeps them apart.
"""

from __future__ import annotations

import functools
import random
import tomllib
from pathlib import Path
from typing import Any

_PHRASES = Path(__file__).with_name("phrases.toml")


@functools.cache
def _phrases() -> dict[str, Any]:
    return tomllib.loads(_PHRASES.read_text(encoding="utf-8"))


def patterns(language: str, topic: str, sentiment: str) -> list[str]:
    """The sentence patterns of one cell of the grid."""
    found: list[str] = _phrases()[language]["patterns"][topic][sentiment]
    return found


def company_names(language: str) -> list[str]:
    """The invented names, without what their bearers trade in."""
    found: list[str] = _phrases()[language]["names"]
    return found


def trades(language: str) -> set[str]:
    """What invented companies trade in, as it stands behind their names."""
    return {trade for each in _phrases()[language]["trades"].values() for trade in each}


class Composer:
    """Writes headlines with one source of randomness; the same seed writes the same headlines."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def headline(
        self, language: str, topic: str, sentiment: str, *, pattern: str | None = None
    ) -> str:
        """A headline, with ``pattern`` or one drawn from the cell's."""
        rng = self._rng
        chosen = pattern or rng.choice(patterns(language, topic, sentiment))
        company = self._company(language, topic)
        other = self._company(language, topic)
        while other.split()[0][:2] == company.split()[0][:2]:
            other = self._company(language, topic)
        filled = self._filled(chosen, language, topic, company, other)
        filled = self._framed(filled, language)
        return filled[0].upper() + filled[1:]

    def clause(self, language: str, topic: str, pattern: str) -> tuple[str, str]:
        """A clause of ``pattern``, without the marks of a wire service, and the company it is about."""
        company = self._company(language, topic)
        return self._filled(pattern, language, topic, company, company), company

    def _filled(self, pattern: str, language: str, topic: str, company: str, other: str) -> str:
        rng = self._rng
        # Rates and inflation stay in single digits; profits and prices may leap.
        percent = rng.uniform(1, 9.9) if topic == "monetary-policy" else rng.uniform(3, 48)
        filled: str = pattern.format(
            c=company,
            d=other,
            b=rng.choice(_phrases()[language]["central_banks"]),
            p=f"{percent:.2f}" if topic == "monetary-policy" else f"{percent:.1f}",
            m=self._money(language),
            n=rng.randrange(11, 145) if "basis point" in pattern or "基点" in pattern
            else rng.randrange(102, 989),
        )  # fmt: skip
        return filled

    def copy(self, headline: str, language: str) -> str:
        """What another outlet makes of ``headline``: the same words with another frame."""
        parts = _phrases()[language]
        if self._rng.random() < 0.5:
            return str(self._rng.choice(parts["copy_leads"])) + headline
        return headline + str(self._rng.choice(parts["copy_tails"]))

    def _company(self, language: str, topic: str) -> str:
        parts = _phrases()[language]
        trade = self._rng.choice(parts["trades"][topic])
        name = self._rng.choice(parts["names"])
        return f"{name} {trade}" if language == "en" else f"{name}{trade}"

    def _money(self, language: str) -> str:
        if language == "en":
            if self._rng.random() < 0.7:
                return f"${self._rng.randrange(12, 990)} million"
            return f"${self._rng.uniform(1, 19):.1f} billion"
        if self._rng.random() < 0.3:
            return f"{self._rng.randrange(1200, 9900)}万元"
        return f"{self._rng.uniform(1.1, 98):.1f}亿元"

    def _framed(self, headline: str, language: str) -> str:
        """Half of the headlines get the marks of a wire service: a place, a kind of source."""
        parts = _phrases()[language]
        roll = self._rng.random()
        if roll < 0.25:
            return headline + str(self._rng.choice(parts["tails"]))
        if roll < 0.5:
            place = self._rng.choice(parts["places"])
            return f"{place}: {headline}" if language == "en" else f"{place}：{headline}"
        return headline
