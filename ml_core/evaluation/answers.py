"""What a model answered for each row it was measured on: kept, so that two models can be compared on the same rows
without asking either again."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

_DIGITS = 5
_FORMAT = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Answers:
    """One model's answers to the rows of one file, column by column, in the order of the file.

    ``headline`` is the figure that they make together. ``lines`` are the rows' keys: their lines in the file, or
    their places, from 1. ``said`` is what was answered: a label, a list of labels or tags, a text, or the name of what
    was put first. ``confidence`` is the probability of the answer (of a set of labels: of its least certain one),
    empty where the model gives none. ``scores``, shape (rows,), says from 0 to 1 how right each answer is; where
    ``judged`` is true, 1 is right and everything else wrong, otherwise it is a degree.

    What the headline is a function of, by row: ``true``, one label a row, or ``sums`` of shape (rows, columns); with
    neither the headline is the mean of ``scores``.
    """

    headline: str
    lines: Sequence[int]
    said: Sequence[Any]
    scores: np.ndarray
    judged: bool
    confidence: Sequence[float] = ()
    true: Sequence[str] = ()
    sums: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def write(self, path: Path) -> None:
        """Write a gzip of JSON lines: a head, then an object a row. Equal answers make equal bytes."""
        head = {
            "format": _FORMAT,
            "headline": self.headline,
            "count": len(self),
            "judged": self.judged,
        }
        with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            for value in (head, *self._rows()):
                text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                file.write(f"{text}\n".encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote. Raises ValueError for anything else, OSError when it cannot be read."""
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                head, *rows = [json.loads(line) for line in file]
            if head["format"] != _FORMAT or head["count"] != len(rows):
                raise ValueError("half of it is missing, or it is of another release")
            columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
            return cls(
                headline=head["headline"],
                judged=head["judged"],
                lines=columns.get("line", []),
                said=columns.get("said", []),
                scores=np.array(columns.get("score", []), dtype=float),
                confidence=columns.get("confidence", []),
                true=columns.get("true", []),
                sums=np.array(columns["sums"], dtype=float) if "sums" in columns else None,
            )
        except (EOFError, KeyError, TypeError, ValueError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: no file of answers ({error})") from error

    def _rows(self) -> Iterator[dict[str, Any]]:
        for at, line in enumerate(self.lines):
            row = {"line": line, "said": self.said[at], "score": _short(self.scores[at])}
            if len(self.confidence):
                row["confidence"] = _short(self.confidence[at])
            if len(self.true):
                row["true"] = self.true[at]
            if self.sums is not None:
                row["sums"] = [_short(value) for value in self.sums[at].tolist()]
            yield row


def lines_or_places(lines: Sequence[int] | None, count: int) -> Sequence[int]:
    """The keys of ``count`` rows."""
    return list(lines) if lines else range(1, count + 1)


def _short(value: float) -> float | int:
    """Few digits, and 1 for 1.0: the file is many rows of them."""
    number = round(float(value), _DIGITS)
    return int(number) if math.isfinite(number) and number == int(number) else number
