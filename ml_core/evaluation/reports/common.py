"""What every report has."""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from ml_core.evaluation.answers import Answers
from ml_core.evaluation.intervals import Interval
from ml_core.evaluation.slices import Slice, worst_slice

WORST_ERRORS = 20
SHOWN_CHARACTERS = 300


@dataclass(frozen=True, kw_only=True)
class Report:
    """Scores of one model on one set of examples.

    ``headline`` is the key of the main number: higher is better, epochs are chosen by it and
    versions compared. ``intervals`` are 95 % bootstrap intervals of the main numbers; ``slices``
    are the scores on parts of the examples. ``answers`` is what was answered row by row, None where
    the headline is not made of rows; they are no part of the JSON value.
    """

    kind: ClassVar[str]
    # Too long for a manifest: matrices, texts and what belongs to them.
    not_in_summary: ClassVar[tuple[str, ...]] = ()

    headline: str
    count: int
    intervals: dict[str, Interval]
    slices: tuple[Slice, ...] = ()
    answers: Answers | None = field(default=None, repr=False, compare=False)

    @property
    def score(self) -> float:
        """The headline number."""
        return float(getattr(self, self.headline))

    def to_dict(self) -> dict[str, Any]:
        """A JSON value: floats are rounded to six digits, a number that is undefined (such as the
        AUROC of a single label) is None, an interval is [low, high]."""
        values = asdict(replace(self, answers=None))
        del values["answers"]
        values["intervals"] = {
            key: [interval.low, interval.high]
            for key, interval in self.intervals.items()
            if math.isfinite(interval.low)
        }
        values["slices"] = [_slice_dict(part) for part in self.slices]
        worst = worst_slice(self.slices)
        values["worst_slice"] = _slice_dict(worst) if worst else None
        rounded: dict[str, Any] = json_value({"kind": self.kind, **values})
        return rounded

    def summary(self) -> dict[str, Any]:
        """The numbers that belong in a manifest: no texts, no matrix, no slice but the worst."""
        values = self.to_dict()
        for key in ("slices", *self.not_in_summary):
            del values[key]
        return values


def _slice_dict(part: Slice) -> dict[str, Any]:
    """The score also under the name of its metric, as a report has it."""
    interval = [part.interval.low, part.interval.high]
    return {
        "name": f"{part.column}: {part.value}",
        **asdict(part),
        part.metric: part.score,
        "interval": interval if math.isfinite(interval[0]) else None,
    }


def json_value(value: Any, digits: int = 6) -> Any:
    """Round every float of a JSON value; one that is not finite becomes None."""
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: json_value(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item, digits) for item in value]
    return value


def shown(text: str) -> str:
    """The beginning of a text, short enough for a page."""
    return text[:SHOWN_CHARACTERS]


def aligned(count: int, **columns: Sized | None) -> None:
    """Raise ValueError when there is nothing to evaluate or a column has another length."""
    if not count:
        raise ValueError("there are no examples to evaluate")
    for name, values in columns.items():
        if values is not None and len(values) != count:
            raise ValueError(f"{name}: {len(values)} values for {count} examples")
