"""What is said of each company: headlines that name one, and pairs of clauses that differ about two."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from apps.finance_sentiment.demo.composer import Composer, company_names, patterns, trades
from apps.finance_sentiment.demo.headlines import Headline

# Of each language; with fewer the model learns the label of the headline and not that of the company.
PAIRS = 150
_SENTIMENTS = ("negative", "neutral", "positive")
# Those whose patterns are about one company.
_TOPICS = ("earnings", "markets", "technology", "energy", "credit")
_JOINTS = {"en": (" while ", " as ", "; "), "zh": ("，而", "；", "，同时")}


@dataclass(frozen=True, slots=True)
class Mentions:
    """A headline with the companies in it: [start, end) in characters, and what it is for each."""

    text: str
    spans: list[list[int]]
    labels: list[str]
    language: str


def mentions_of(headlines: list[Headline]) -> list[Mentions]:
    """The headlines that name exactly one company, and as many pairs of clauses again as are needed to tell a company
    from its neighbour; the same at every call."""
    found = [each for headline in headlines if (each := _alone(headline)) is not None]
    for language in _JOINTS:
        found += _pairs(language, random.Random(f"mentions {language}"))
    return found


def _alone(headline: Headline) -> Mentions | None:
    places = [list(match.span()) for match in _names(headline.language).finditer(headline.text)]
    if len(places) != 1:
        return None
    return Mentions(headline.text, places, [headline.label], headline.language)


def _pairs(language: str, rng: random.Random) -> Iterator[Mentions]:
    composer = Composer(rng)
    for number in range(PAIRS):
        # Two of three pairs part in what they say.
        first = _SENTIMENTS[number % 3]
        second = _SENTIMENTS[(number + number // 3) % 3]
        clauses = [_clause(composer, language, sentiment, rng) for sentiment in (first, second)]
        if clauses[0][1] == clauses[1][1]:
            continue
        joint = rng.choice(_JOINTS[language])
        text = clauses[0][0] + joint + clauses[1][0]
        begins = (0, len(clauses[0][0]) + len(joint))
        spans = []
        for begin, (clause, company) in zip(begins, clauses, strict=True):
            start = begin + clause.index(company)
            spans.append([start, start + len(company)])
        yield Mentions(text, spans, [first, second], language)


def _clause(
    composer: Composer, language: str, sentiment: str, rng: random.Random
) -> tuple[str, str]:
    """A clause about one company, and the company."""
    topic = rng.choice(_TOPICS)
    about_one = [
        pattern
        for pattern in patterns(language, topic, sentiment)
        if pattern.count("{c}") == 1 and "{d}" not in pattern and "{b}" not in pattern
    ]
    return composer.clause(language, topic, rng.choice(about_one))


@cache
def _names(language: str) -> re.Pattern[str]:
    """An invented name, with its trade where that stands behind it."""
    names = "|".join(map(re.escape, company_names(language)))
    kinds = "|".join(map(re.escape, sorted(trades(language), key=len, reverse=True)))
    blank = " " if language == "en" else ""
    return re.compile(rf"(?:{names})(?:{blank}(?:{kinds}))?")
