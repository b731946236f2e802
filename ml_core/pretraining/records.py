"""What is known of a stage that ran: its record, and the curve of its training."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from ml_core.pretraining.recipe_file import StageEntry
from ml_core.training.progress import Progress

_CURVE = "curve.jsonl"
# Between two points of a curve; what an evaluation finds is always one.
_SECONDS_BETWEEN = 5.0


@dataclass(frozen=True)
class StageRecord:
    """A stage that is done. ``seconds`` of wall clock over all its runs; ``curve`` has points of ``step``, ``epoch``,
    ``seconds`` and ``loss`` or ``metrics``; ``data`` has the rows that it learned from."""

    name: str
    kind: str
    fingerprint: str
    seconds: float
    settings: dict[str, Any]
    figures: dict[str, Any]
    data: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)

    @property
    def tokens_seen(self) -> int | None:
        """Tokens that the network read in training; None for a stage that trains none."""
        tokens: int | None = self.figures.get("tokens_per_epoch")
        if tokens is None:
            return None
        epochs = max((point.get("epoch", 0.0) for point in self.curve), default=0.0)
        return round(tokens * epochs)


def read_record(stage: StageEntry) -> StageRecord | None:
    """The record of a stage that is done and whose output is there; None otherwise."""
    try:
        values = json.loads(stage.record_file.read_text(encoding="utf-8"))
        record = StageRecord(**values)
    except (OSError, ValueError, TypeError):
        return None
    return record if record.fingerprint == stage.fingerprint and stage.output.exists() else None


def write_record(stage: StageEntry, record: StageRecord) -> None:
    """Declare a stage done."""
    half = stage.record_file.with_suffix(".half")
    half.write_text(
        json.dumps(asdict(record), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    half.rename(stage.record_file)


class CurveKeeper:
    """Writes a stage's progress down as it comes, so that a run that was taken up has the whole curve."""

    def __init__(self, stage: StageEntry) -> None:
        self._path = stage.directory / _CURVE
        before = read_curve(stage)
        self._before = before[-1]["seconds"] if before else 0.0
        self._begun = time.monotonic()
        self._kept_at = float("-inf")

    @property
    def seconds(self) -> float:
        """Wall clock of the stage so far, earlier runs included as far as they were written down."""
        return round(self._before + time.monotonic() - self._begun, 1)

    def add(self, progress: Progress) -> None:
        """Take note of a moment."""
        now = time.monotonic()
        measured = progress.metrics is not None
        if progress.phase not in ("train", "evaluate") or not (
            measured or progress.loss is not None
        ):
            return
        if not measured and now - self._kept_at < _SECONDS_BETWEEN:
            return
        self._kept_at = now
        point = {
            "step": progress.step,
            "epoch": progress.epoch,
            "seconds": self.seconds,
            **({"loss": progress.loss} if progress.loss is not None else {}),
            **({"metrics": progress.metrics} if measured else {}),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point) + "\n")


def read_curve(stage: StageEntry) -> list[dict[str, Any]]:
    """The points so far. What came after the checkpoint that a later run went on from counts no more."""
    try:
        lines = (stage.directory / _CURVE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    points: list[dict[str, Any]] = []
    for line in lines:
        try:
            point = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run
        while points and points[-1]["step"] > point["step"]:
            points.pop()
        points.append(point)
    return points
