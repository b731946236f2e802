"""Answers added up: counts by class, from which means, shares and quantiles follow. Tallies are merged by addition."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

# Upper bounds of the classes of a call's time, in milliseconds; each is half as much again as the one before.
LATENCY_BOUNDS = tuple(round(1.5**power, 3) for power in range(30))
CONFIDENCE_CLASSES = 20
# Upper bounds of the classes of a text's length, in characters.
LENGTH_BOUNDS = tuple(2**power for power in range(2, 18))
KINDS = ("label", "language", "confidence", "length", "latency")
# A label mix of more labels than this keeps the most frequent; the others are one.
_MAX_NAMES = 200
_OTHERS = "…"


@dataclass
class Tally:
    """Counts of answers; `counts` are by kind (`KINDS`) and class, as JSON keeps them."""

    answered: int = 0
    failed: int = 0
    confidence_sum: float = 0.0
    compared: int = 0
    agreed: int = 0
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {kind: Counter() for kind in KINDS}
    )

    @classmethod
    def of(cls, row: Any) -> Self:
        """The tally of a stored row (`TrafficBucket`)."""
        made = cls(row.answered, row.failed, row.confidence_sum, row.compared, row.agreed)
        for kind in KINDS:
            made.counts[kind].update(row.counts.get(kind, {}))
        return made

    @classmethod
    def sum(cls, rows: Iterable[Any]) -> Self:
        """All stored rows together."""
        total = cls()
        for row in rows:
            total.merge(cls.of(row))
        return total

    def add(
        self,
        *,
        label: str,
        confidence: float,
        milliseconds: float,
        language: str = "",
        length: int | None = None,
        agreed: bool | None = None,
    ) -> None:
        """Count one answer; what is not known of it is left out. `agreed`: with the answer that was given."""
        self.answered += 1
        self.confidence_sum += confidence
        self.counts["label"][label] += 1
        place = min(CONFIDENCE_CLASSES - 1, int(confidence * CONFIDENCE_CLASSES))
        self.counts["confidence"][str(place)] += 1
        self.counts["latency"][str(bisect.bisect_left(LATENCY_BOUNDS, milliseconds))] += 1
        if language:
            self.counts["language"][language] += 1
        if length is not None:
            self.counts["length"][str(bisect.bisect_left(LENGTH_BOUNDS, length))] += 1
        if agreed is not None:
            self.compared += 1
            self.agreed += agreed

    def merge(self, other: Tally) -> None:
        """Add another tally to this one; in any order and grouping the result is the same."""
        self.answered += other.answered
        self.failed += other.failed
        self.confidence_sum += other.confidence_sum
        self.compared += other.compared
        self.agreed += other.agreed
        for kind in KINDS:
            self.counts[kind].update(other.counts[kind])

    def columns(self) -> dict[str, Any]:
        """The columns of a stored row."""
        return {
            "answered": self.answered,
            "failed": self.failed,
            "confidence_sum": self.confidence_sum,
            "compared": self.compared,
            "agreed": self.agreed,
            "counts": {kind: _bounded(counts) for kind, counts in self.counts.items() if counts},
        }

    @property
    def asked(self) -> int:
        """Texts with and without an answer."""
        return self.answered + self.failed

    @property
    def failure_share(self) -> float | None:
        """Share of the texts without an answer."""
        return self.failed / self.asked if self.asked else None

    @property
    def confidence(self) -> float | None:
        """Mean probability of the answers."""
        return self.confidence_sum / self.answered if self.answered else None

    @property
    def agreement(self) -> float | None:
        """Share of the answers that are those that were given."""
        return self.agreed / self.compared if self.compared else None

    def latency(self, share: float) -> float | None:
        """Milliseconds within which that share of the texts had an answer."""
        return quantile(self.counts["latency"], LATENCY_BOUNDS, share)

    def length(self, share: float = 0.5) -> float | None:
        """Characters that that share of the texts does not exceed."""
        return quantile(self.counts["length"], LENGTH_BOUNDS, share)

    def shares(self, kind: str) -> dict[str, float]:
        """Share of each class, the most frequent first."""
        counts = self.counts[kind]
        total = sum(counts.values())
        return {name: count / total for name, count in counts.most_common()} if total else {}


def quantile(counts: Mapping[str, int], bounds: tuple[float, ...], share: float) -> float | None:
    """A quantile of counts by class (place in `bounds`), interpolated within its class; None of nothing."""
    total = sum(counts.values())
    if not total:
        return None
    rank, seen = share * total, 0
    for place in sorted(map(int, counts)):
        count = counts[str(place)]
        if seen + count >= rank:
            low = bounds[place - 1] if place else 0.0
            high = bounds[min(place, len(bounds) - 1)]
            return round(low + (high - low) * (rank - seen) / count, 2)
        seen += count
    return float(bounds[-1])


def distance(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Total variation of two mixes: the share that would have to change its class."""
    names = first.keys() | second.keys()
    return 0.5 * sum(abs(first.get(name, 0.0) - second.get(name, 0.0)) for name in names)


def _bounded(counts: Counter[str]) -> dict[str, int]:
    if len(counts) <= _MAX_NAMES:
        return dict(counts)
    kept = dict(counts.most_common(_MAX_NAMES - 1))
    kept[_OTHERS] = kept.get(_OTHERS, 0) + counts.total() - sum(kept.values())
    return kept
