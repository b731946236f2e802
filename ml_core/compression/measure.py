"""What a compression wins and what it costs: size, speed and quality of an artefact on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from safetensors import safe_open

from ml_core.registry.artifact import CARD, INT8_WEIGHTS, WEIGHTS, Artifact
from ml_core.tasks import predictor_class
from ml_core.tasks.base import RowPredictor

_WARM_UP = 3
_SECONDS = 2.0
_LEAST_CALLS = 10
_BATCH_ROWS = 256


@dataclass(frozen=True)
class Speed:
    """``milliseconds`` of a single row (the median), and rows ``per_second`` of many at a time."""

    milliseconds: float
    per_second: float


@dataclass(frozen=True)
class Figures:
    """An artefact's main figure and what else is looked at: ``ece`` and ``worst_slice`` are None where the task's
    report has none; ``bytes`` are those needed to serve, see `serving_bytes`."""

    headline: str
    score: float
    accuracy: float | None
    ece: float | None
    worst_slice: float | None
    bytes: int
    parameters: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def figures(artifact: Artifact, summary: Mapping[str, Any]) -> Figures:
    """The figures of an artefact whose report is ``summary``."""
    headline = str(summary["headline"])
    worst = summary.get("worst_slice")
    return Figures(
        headline=headline,
        score=float(summary[headline]),
        accuracy=summary.get("accuracy"),
        ece=summary.get("ece"),
        worst_slice=worst.get("score") if isinstance(worst, dict) else None,
        bytes=serving_bytes(artifact),
        parameters=parameter_count(artifact),
    )


def serving_bytes(artifact: Artifact) -> int:
    """Bytes of what a server needs of an artefact.

    Without int8 all its files but the card and the manifest. With int8 the float weights stay only for explanation and
    further training: needed are the ONNX file, tokenizer and settings, and of the weights the layers on top of the
    encoder, as they are stored.
    """
    needless = {CARD}
    total = 0
    if INT8_WEIGHTS in artifact.manifest.files:
        needless.add(WEIGHTS)
        total = sum(_tensor_bytes(artifact, lambda name: name.startswith("classifier.")))
    names = [name for name in artifact.manifest.files if name not in needless]
    return total + sum((artifact.path / name).stat().st_size for name in names)


def parameter_count(artifact: Artifact) -> int:
    """Numbers in the weights' file."""
    with safe_open(artifact.path / WEIGHTS, framework="np") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    total = 0
    for shape in shapes:
        count = 1
        for size in shape:
            count *= size
        total += count
    return total


def measure_speed(artifact: Artifact, rows: Sequence[Mapping[str, Any]]) -> Speed:
    """How fast an artefact answers ``rows`` on the CPU of this machine, tokenizer included, with as many threads as the
    process has been given."""
    predictor: RowPredictor = predictor_class(artifact.manifest.task).load(artifact, device="cpu")
    shown = list(rows[:_BATCH_ROWS])
    for row in shown[:_WARM_UP]:
        predictor.predict_rows([row])
    single = _repeat(lambda place: predictor.predict_rows([shown[place % len(shown)]]))
    predictor.predict_rows(shown)
    many = _repeat(lambda _: predictor.predict_rows(shown), least=2)
    return Speed(
        milliseconds=round(statistics.median(single) * 1000, 3),
        per_second=round(len(shown) / statistics.median(many), 1),
    )


def _repeat(call: Callable[[int], Any], least: int = _LEAST_CALLS) -> list[float]:
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < least or time.perf_counter() - begun < _SECONDS:
        before = time.perf_counter()
        call(len(times))
        times.append(time.perf_counter() - before)
    return times


def _tensor_bytes(artifact: Artifact, wanted: Callable[[str], bool]) -> list[int]:
    with safe_open(artifact.path / WEIGHTS, framework="np") as file:
        names = [name for name in file.keys() if wanted(name)]  # noqa: SIM118
        return [file.get_tensor(name).nbytes for name in names]
