"""A version's family, smaller and larger: which of them nobody beats in both quality and cost (the Pareto front)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ml_core.registry import Artifact, ArtifactError
from rootstock.modelhub.gate.figures import figure, written
from rootstock.modelhub.lineage import Node, lineage
from rootstock.modelhub.models import ModelVersion, Split
from rootstock.modelhub.storage import absolute_path

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 96, 16, 40
_TICKS = (1, 2, 5)
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Member:
    """A version with what it costs to serve. `megabytes` are of the files that serving needs; `milliseconds` of one row
    and rows `per_second` were measured when it, or a smaller version of it, was made; None: not measured."""

    version: ModelVersion
    current: bool
    serving: list[str]
    figure: str
    score: float | None
    megabytes: float
    milliseconds: float | None
    per_second: float | None
    ece: float | None
    worst_slice: float | None
    steps: list[str]
    # Nobody in the family is at least as good and at least as cheap.
    best_by_size: bool = False
    best_by_time: bool = False


@dataclass(frozen=True)
class Mark:
    """A point of a chart, in its coordinates."""

    x: float
    y: float
    label: str
    title: str
    best: bool
    current: bool


@dataclass(frozen=True)
class Chart:
    """A chart of quality against a cost, ready to be drawn: marks, the front as a line, and ticks (place, words)."""

    marks: list[Mark]
    front: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    bottom: int = _HEIGHT - _BOTTOM
    right: int = _WIDTH - _RIGHT
    top: int = _TOP


def family(version: ModelVersion) -> list[Member]:
    """The version, its ancestors and what was made from any of them, the costliest first."""
    nodes = list(_nodes(lineage(lineage(version).root.version).root))
    records = {node.version.pk: _record(node.version) for node in nodes}
    originals = {
        node.version.parent_id: record["original"]
        for node in nodes
        if (record := records[node.version.pk]) is not None
    }
    members = [
        _member(node, node.version.pk == version.pk, records[node.version.pk], originals)
        for node in nodes
    ]
    by_size = _front(members, lambda each: each.megabytes)
    by_time = _front(members, lambda each: each.milliseconds)
    found = [
        Member(**{**vars(each), "best_by_size": place in by_size, "best_by_time": place in by_time})
        for place, each in enumerate(members)
    ]
    return sorted(found, key=lambda each: -each.megabytes)


def size_chart(members: Sequence[Member]) -> Chart | None:
    """Quality against megabytes."""
    return _chart(members, lambda each: each.megabytes, lambda each: each.best_by_size, "MB")


def time_chart(members: Sequence[Member]) -> Chart | None:
    """Quality against the milliseconds of one row."""
    return _chart(members, lambda each: each.milliseconds, lambda each: each.best_by_time, "ms")


def _nodes(root: Node) -> list[Node]:
    found = [root]
    for child in root.children:
        found += _nodes(child)
    return found


def _record(version: ModelVersion) -> dict[str, Any] | None:
    """What the artefact says of its compression; None where it was not compressed or is not on this machine."""
    try:
        artifact = Artifact.open(absolute_path(version.artifact_path), verify=False)
    except (ArtifactError, ValueError):
        return None
    found: dict[str, Any] | None = artifact.manifest.options.get("compression")
    return found


def _member(
    node: Node,
    current: bool,
    record: dict[str, Any] | None,
    originals: dict[Any, dict[str, Any]],
) -> Member:
    version = node.version
    own = record["compressed"] if record else originals.get(version.pk, {})
    report = version.metrics.get(Split.TEST) or version.metrics.get(Split.VALIDATION) or {}
    main = figure(report)
    worst = report.get("worst_slice") or {}
    return Member(
        version=version,
        current=current,
        serving=node.serving,
        figure=f"{main.name} {written(main.value)}" if main else "",
        score=main.value if main else None,
        megabytes=(own.get("bytes") or version.size_bytes) / _MEGABYTE,
        milliseconds=own.get("milliseconds"),
        per_second=own.get("per_second"),
        ece=report.get("ece"),
        worst_slice=worst.get("score"),
        steps=[each["step"] for each in record["steps"]] if record else [],
    )


def _front(members: Sequence[Member], cost: Callable[[Member], float | None]) -> set[int]:
    points = [(place, cost(each), each.score) for place, each in enumerate(members)]
    known = [(place, x, y) for place, x, y in points if x is not None and y is not None]
    return {
        place
        for place, x, y in known
        if not any(a <= x and b >= y and (a, b) != (x, y) for _, a, b in known)
    }


def _chart(
    members: Sequence[Member],
    cost: Callable[[Member], float | None],
    best: Callable[[Member], bool],
    unit: str,
) -> Chart | None:
    shown = [
        (each, x, each.score) for each in members if (x := cost(each)) and each.score is not None
    ]
    if len(shown) < 2:
        return None
    # Costs differ by factors, so they are drawn by their logarithm.
    low, high = math.log10(min(x for _, x, _ in shown)), math.log10(max(x for _, x, _ in shown))
    low, high = low - 0.1, high + 0.1
    bottom, top = min(y for _, _, y in shown), max(y for _, _, y in shown)
    room = max(0.005, (top - bottom) * 0.15)
    bottom, top = bottom - room, top + room

    def across(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(score: float) -> float:
        share = (score - bottom) / (top - bottom)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    marks = [
        Mark(
            across(x),
            down(score),
            f"v{each.version.number}",
            f"{each.version.label}: {each.figure}, {x:,.3g} {unit}",
            best(each),
            each.current,
        )
        for each, x, score in shown
    ]
    front = sorted((mark for mark in marks if mark.best), key=lambda mark: mark.x)
    return Chart(
        marks,
        " ".join(f"{mark.x},{mark.y}" for mark in front),
        [(across(value), f"{value:g} {unit}") for value in _ticks(10**low, 10**high)],
        [
            (down(bottom + (top - bottom) * k / 4), written(bottom + (top - bottom) * k / 4))
            for k in range(5)
        ],
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round values between two, by decades."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values = [step * 10.0**power for power in range(first, last + 1) for step in _TICKS]
    return [value for value in values if low <= value <= high]
