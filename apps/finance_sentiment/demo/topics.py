"""The topics of the demonstration's headlines, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SENTIMENTS: Final = ("negative", "neutral", "positive")
LANGUAGES: Final = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Topic:
    """A subject that headlines are about; ``slug`` is its label in training data."""

    slug: str
    name_en: str
    name_zh: str


TOPICS: Final = (
    Topic("earnings", "Earnings", "业绩"),
    Topic("mergers", "Mergers and acquisitions", "并购"),
    Topic("regulation", "Regulation and law", "监管与法律"),
    Topic("monetary-policy", "Monetary policy", "货币政策"),
    Topic("markets", "Markets", "市场行情"),
    Topic("credit", "Credit and banking", "信贷与银行"),
    Topic("technology", "Technology", "科技"),
    Topic("energy", "Energy", "能源"),
)
TOPIC_SLUGS: Final = tuple(topic.slug for topic in TOPICS)
