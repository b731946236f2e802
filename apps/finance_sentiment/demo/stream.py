"""An endless stream of fresh documents for a running demonstration.

Calm stretches at a steady rate, stories that several outlets carry with small edits, and every two
minutes a surge: in one topic negative stories swell, stay at several a second and fade.
Everything follows from the seed and the start, so a test can compute what must happen.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from apps.finance_sentiment.demo.composer import Composer
from apps.finance_sentiment.demo.topics import LANGUAGES, TOPIC_SLUGS

SOURCES: Final = {
    "en": (
        "Ledger Wire", "The Harbour Post", "Bourse Daily", "Northlight Finance", "Tallow Street Journal",
        "Meridian Markets",
    ),
    "zh": ("潮声财经", "汇川晚报", "金泽快讯", "云岫财讯", "同衡日报", "观澜商业评论"),
}  # fmt: skip

# Financial news in calm times: mostly plain facts, a little more good than bad.
_CALM_SENTIMENT: Final = (("negative", 0.24), ("neutral", 0.46), ("positive", 0.30))
_SYNDICATED = 0.12
_MEMORY = 250
_ALIKE = 0.45


@dataclass(frozen=True, slots=True)
class Surge:
    """One planned surge: it rises from ``start``, is full from ``full`` to ``fades``."""

    number: int
    topic: str
    start: datetime
    full: datetime
    fades: datetime
    end: datetime

    def strength(self, moment: datetime) -> float:
        """Share of the full rate at ``moment``: 0 outside, a trapezium inside."""
        if not self.start <= moment < self.end:
            return 0.0
        rise = (moment - self.start) / (self.full - self.start)
        fall = (self.end - moment) / (self.end - self.fades)
        return min(1.0, rise, fall)


@dataclass(frozen=True, slots=True)
class DemoDocument:
    """A document as a source would publish it. ``topic``, ``sentiment`` and ``story`` (equal in
    syndicated copies) are what the writer meant: for tests, never sent."""

    external_id: str
    source: str
    title: str
    language: str
    published_at: datetime
    topic: str
    sentiment: str
    story: int

    def as_payload(self) -> dict[str, Any]:
        """The document in the form that ``POST /api/v1/finance/documents`` takes."""
        return {
            "external_id": self.external_id,
            "source": self.source,
            "title": self.title,
            "language": self.language,
            "published_at": self.published_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class DemoStream:
    """The stream of one seed. Rates are stories per second; durations are seconds.

    The first surge comes ``lead_in`` after the start, so that a detector has learned what calm is.
    """

    seed: int
    calm_rate: float = 0.7
    surge_rate: float = 4.0
    lead_in: float = 100.0
    period: float = 120.0
    rise: float = 15.0
    plateau: float = 30.0
    fade: float = 15.0
    with_surges: bool = True

    def surge(self, start: datetime, number: int) -> Surge:
        """The surge ``number`` (from 0) of a stream that began at ``start``."""
        begin = start + timedelta(seconds=self.lead_in + number * self.period)
        full = begin + timedelta(seconds=self.rise)
        fades = full + timedelta(seconds=self.plateau)
        return Surge(
            number,
            self._surge_topic(number),
            begin,
            full,
            fades,
            fades + timedelta(seconds=self.fade),
        )

    def schedule(self, start: datetime, seconds: float) -> list[Surge]:
        """The surges that are over within ``seconds`` of a stream that began at ``start``."""
        surges: list[Surge] = []
        while self.with_surges:
            surge = self.surge(start, len(surges))
            if surge.end > start + timedelta(seconds=seconds):
                break
            surges.append(surge)
        return surges

    def documents(self, start: datetime) -> Iterator[DemoDocument]:
        """Documents in order of ``published_at``, without end; the caller waits until each is due.

        Raises ValueError when ``start`` has no time zone.
        """
        if start.tzinfo is None:
            raise ValueError(f"start {start.isoformat()} has no time zone")
        due: list[tuple[datetime, str, DemoDocument]] = []
        for editions in self._stories(start):
            # Later stories are newer than this one's first edition, so all before it is settled.
            while due and due[0][0] <= editions[0].published_at:
                yield heapq.heappop(due)[2]
            for edition in editions:
                heapq.heappush(due, (edition.published_at, edition.external_id, edition))

    def _stories(self, start: datetime) -> Iterator[list[DemoDocument]]:
        """Each story as its first edition and its later copies, in order of the first."""
        rng = random.Random(f"{self.seed} {start.isoformat()}")
        composer = Composer(rng)
        recent: deque[frozenset[str]] = deque(maxlen=_MEMORY)
        moment, number = start, 0
        ceiling = self.calm_rate + (self.surge_rate if self.with_surges else 0.0)
        while True:
            # Poisson arrivals with a varying rate, by thinning (Lewis and Shedler 1979).
            moment += timedelta(seconds=rng.expovariate(ceiling))
            surge, extra = self._surge_rate(start, moment)
            roll = rng.random() * ceiling
            if roll >= self.calm_rate + extra:
                continue
            topic, sentiment = rng.choice(TOPIC_SLUGS), _calm_sentiment(rng)
            if surge is not None and roll >= self.calm_rate:
                topic, sentiment = surge.topic, "negative"
            language = rng.choice(LANGUAGES)
            first = DemoDocument(
                external_id=self._external_id(start, number, 0),
                source=rng.choice(SOURCES[language]),
                title=_fresh_title(composer, recent, language, topic, sentiment),
                language=language,
                published_at=moment,
                topic=topic,
                sentiment=sentiment,
                story=number,
            )
            yield [first, *self._copies(rng, composer, start, first)]
            number += 1

    def _copies(
        self, rng: random.Random, composer: Composer, start: datetime, first: DemoDocument
    ) -> Iterator[DemoDocument]:
        if rng.random() >= _SYNDICATED:
            return
        others = [source for source in SOURCES[first.language] if source != first.source]
        for number, source in enumerate(rng.sample(others, rng.choice((1, 1, 2, 3))), start=1):
            yield replace(
                first,
                external_id=self._external_id(start, first.story, number),
                source=source,
                title=composer.copy(first.title, first.language),
                published_at=first.published_at + timedelta(seconds=rng.uniform(2, 20) * number),
            )

    def _external_id(self, start: datetime, story: int, edition: int) -> str:
        key = f"{self.seed} {start.isoformat()} {story} {edition}"
        return f"demo-{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}"

    def _surge_topic(self, number: int) -> str:
        """Every topic once in a round, never one twice running (its alert may just have cleared)."""

        def order(round_number: int) -> list[str]:
            rng = random.Random(f"{self.seed} round {round_number}")
            return rng.sample(TOPIC_SLUGS, len(TOPIC_SLUGS))

        round_number, place = divmod(number, len(TOPIC_SLUGS))
        topics = order(round_number)
        # The first two change places when the last round ended with the first; the last never moves.
        if round_number and order(round_number - 1)[-1] == topics[0]:
            topics[0], topics[1] = topics[1], topics[0]
        return topics[place]

    def _surge_rate(self, start: datetime, moment: datetime) -> tuple[Surge | None, float]:
        number = int(((moment - start).total_seconds() - self.lead_in) // self.period)
        if number < 0 or not self.with_surges:
            return None, 0.0
        surge = self.surge(start, number)
        return surge, self.surge_rate * surge.strength(moment)


def _fresh_title(
    composer: Composer, recent: deque[frozenset[str]], language: str, topic: str, sentiment: str
) -> str:
    """A title that is not like one of the last few hundred: new stories, not echoes."""
    title = composer.headline(language, topic, sentiment)
    for _ in range(20):
        grams = _grams(title)
        if not any(_similarity(grams, other) > _ALIKE for other in recent):
            break
        title = composer.headline(language, topic, sentiment)
    recent.append(_grams(title))
    return title


def _calm_sentiment(rng: random.Random) -> str:
    names = [name for name, _ in _CALM_SENTIMENT]
    return rng.choices(names, weights=[weight for _, weight in _CALM_SENTIMENT])[0]


def _grams(title: str) -> frozenset[str]:
    width = 4 if title.isascii() else 2
    folded = "".join(title.casefold().split())
    return frozenset(folded[at : at + width] for at in range(max(1, len(folded) - width + 1)))


def _similarity(first: frozenset[str], second: frozenset[str]) -> float:
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)
