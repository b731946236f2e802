"""Reports of one event into one thread, as they arrive.

A report joins the thread whose reports it is most probably one event with: the mean of its probabilities with those
nearest in time (average linkage, so that a chain of small steps, each day's market after the other, does not become
one thread). What links two threads may show that they are one: they are merged when the reports of the one and of the
other agree in the same way.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from ml_core.threads.pairs import PairModel, shipped_model
from ml_core.threads.reports import Report

# A thread that nobody has told of for so long is over.
WINDOW = timedelta(hours=72)

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class ThreadConfig:
    """When reports are one event."""

    together: float = 0.45
    """Mean probability from which a report joins a thread, and two threads become one. The lowest at which three of
    four links are right on the training half of `script/bench finance --only stories`: a wrong link is a source that
    seems to confirm what it never said, a missing one only a second line in a list."""
    compared: int = 6
    """Reports of a thread that a newcomer is compared with, those nearest in time."""

    def __post_init__(self) -> None:
        if not 0 < self.together < 1:
            raise ValueError(f"together must be between 0 and 1, got {self.together}")
        if self.compared < 1:
            raise ValueError(f"compared must be at least 1, got {self.compared}")


@dataclass(frozen=True, slots=True)
class Placement(Generic[Key]):
    """Where a report belongs: the thread it joins (None: one of its own), how probably, and what that merges."""

    thread: Key | None
    probability: float
    merged: tuple[Key, ...] = ()


def place_report(
    report: Report,
    threads: Mapping[Key, Sequence[Report]],
    *,
    config: ThreadConfig | None = None,
    model: PairModel | None = None,
) -> Placement[Key]:
    """The thread of a newcomer among candidates, each given as its reports; those that are over do not count.

    `merged` are other threads that turn out to be the same event as the one joined.
    """
    config, model = config or ThreadConfig(), model or shipped_model()
    likely = sorted(
        (
            (linkage([report], reports, config=config, model=model), place)
            for place, reports in enumerate(threads.values())
            if _is_running(report, reports)
        ),
        reverse=True,
    )
    keys = list(threads)
    if not likely or likely[0][0] < config.together:
        return Placement(None, likely[0][0] if likely else 0.0)
    best, joined = likely[0][0], keys[likely[0][1]]
    together = [*threads[joined], report]
    merged = []
    for probability, place in likely[1:]:
        if probability < config.together:
            break
        other = threads[keys[place]]
        if linkage(other, together, config=config, model=model) >= config.together:
            merged.append(keys[place])
            together.extend(other)
    return Placement(joined, best, tuple(merged))


def linkage(
    first: Sequence[Report],
    second: Sequence[Report],
    *,
    config: ThreadConfig | None = None,
    model: PairModel | None = None,
) -> float:
    """Mean probability that a report of the one and its nearest in time of the other are one event; 0 for none."""
    config, model = config or ThreadConfig(), model or shipped_model()
    chances = [
        model.probability(report, other)
        for report in first
        for other in _nearest(report, second, config.compared)
    ]
    return sum(chances) / len(chances) if chances else 0.0


def _nearest(report: Report, others: Sequence[Report], count: int) -> list[Report]:
    if len(others) <= count:
        return list(others)
    return sorted(others, key=lambda other: abs(other.published_at - report.published_at))[:count]


def _is_running(report: Report, reports: Sequence[Report]) -> bool:
    return any(abs(other.published_at - report.published_at) <= WINDOW for other in reports)
