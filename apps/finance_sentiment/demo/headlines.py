"""The labelled headlines that the demonstration's first models are trained on."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

PATH = Path(__file__).with_name("headlines.csv")


@dataclass(frozen=True, slots=True)
class Headline:
    """One row of ``headlines.csv``: ``label`` is the sentiment, ``topic`` a slug of ``topics``."""

    text: str
    label: str
    topic: str
    language: str


def load_headlines() -> list[Headline]:
    """All labelled headlines, English first."""
    with PATH.open(encoding="utf-8", newline="") as handle:
        return [Headline(**row) for row in csv.DictReader(handle)]
