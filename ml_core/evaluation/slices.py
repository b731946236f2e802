"""Scores on parts of the examples: a good mean may hide a part that is served badly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ml_core.evaluation.intervals import Interval, Statistic, bootstrap_sums
from ml_core.text import detect_language

LEAST_ROWS = 30
_MOST_VALUES = 50
_RESAMPLES = 500
_LENGTHS = (("1-20", 20), ("21-50", 50), ("51-100", 100), ("101-250", 250), ("251-1000", 1000))
_LONGEST = "1001+"

_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Slice:
    """The score of the examples whose ``column`` has ``value``. ``enough``: whether there are
    enough of them to be judged by."""

    column: str
    value: str
    count: int
    metric: str
    score: float
    interval: Interval
    enough: bool


def length_column(texts: Iterable[str]) -> list[str]:
    """The length bucket of each text in characters: "1-20" to "1001+"."""
    return [
        next((name for name, most in _LENGTHS if len(text) <= most), _LONGEST) for text in texts
    ]


def language_column(texts: Iterable[str]) -> list[str]:
    """The ISO 639-1 code of each text's language, "und" where nothing tells."""
    return [detect_language(text) for text in texts]


def text_columns(texts: Sequence[str]) -> dict[str, list[str]]:
    """The columns that any text has: its length and its language (about a millisecond a text)."""
    return {"length": length_column(texts), "language": language_column(texts)}


def predicate_column(rows: Iterable[_Row], predicate: Callable[[_Row], bool]) -> list[str]:
    """ "yes" where ``predicate`` holds for a row, else "no"."""
    return ["yes" if predicate(row) else "no" for row in rows]


def slice_scores(
    columns: Mapping[str, Sequence[str]],
    rows: np.ndarray,
    statistic: Statistic,
    *,
    metric: str,
    least_rows: int = LEAST_ROWS,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """The score, with its interval, of each value of each column.

    ``columns`` has a value per example ("" means none and is left out), ``rows`` (examples,
    columns) is what ``statistic`` makes a score of from sums, ``metric`` names that score. A column
    with more than 50 values keeps the 50 most frequent. Ordered by column, then worst first.

    Raises ValueError for a column of another length than ``rows``.
    """
    found: list[Slice] = []
    for column, values in columns.items():
        if len(values) != len(rows):
            raise ValueError(f"column {column!r} has {len(values)} values for {len(rows)} examples")
        names, places = np.unique(np.array([str(value) for value in values]), return_inverse=True)
        sizes = np.bincount(places, minlength=len(names))
        kept = [at for at in np.argsort(-sizes, kind="stable").tolist() if names[at]][:_MOST_VALUES]
        parts = []
        for at in kept:
            part = rows[places == at]
            intervals = bootstrap_sums(part, {metric: statistic}, resamples=_RESAMPLES, seed=seed)
            parts.append(
                Slice(
                    column=column,
                    value=str(names[at]),
                    count=len(part),
                    metric=metric,
                    score=float(statistic(part.sum(0, dtype=np.float64))),
                    interval=intervals[metric],
                    enough=len(part) >= least_rows,
                )
            )
        found += sorted(parts, key=lambda part: part.score)
    return tuple(found)


def worst_slice(slices: Iterable[Slice]) -> Slice | None:
    """The lowest score among the slices with enough rows; None when there is none."""
    return min((part for part in slices if part.enough), key=lambda part: part.score, default=None)
