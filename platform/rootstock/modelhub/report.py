"""An evaluation report in the form in which pages show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rootstock.modelhub.models import ModelVersion, Split

# Shades of the confusion matrix: 0 is no text, 10 all texts of the row.
_SHADES = 10


@dataclass(frozen=True)
class Cell:
    """How many texts of a label were taken for another, the share of the row, and its shade from 0 to 10."""

    count: int
    share: float
    shade: int
    right: bool


@dataclass(frozen=True)
class ReportView:
    """The figures of a version on the part that says most: test, or validation when there is no test part."""

    part: str
    part_label: str
    count: int | None = None
    accuracy: float | None = None
    macro_f1: float | None = None
    macro_f1_low: float | None = None
    macro_f1_high: float | None = None
    ece: float | None = None
    labels: list[dict[str, Any]] = field(default_factory=list)
    confusion: list[tuple[str, list[Cell]]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)


def report_view(version: ModelVersion) -> ReportView | None:
    """The report of a version, or None when it has no figures."""
    for part in (Split.TEST, Split.VALIDATION):
        report = version.metrics.get(part)
        if report:
            return _view(part, report)
    return None


def _view(part: Split, report: dict[str, Any]) -> ReportView:
    interval = report.get("macro_f1_interval") or {}
    labels = report.get("labels", [])
    return ReportView(
        part=str(part),
        part_label=str(part.label),
        count=report.get("count"),
        accuracy=report.get("accuracy"),
        macro_f1=report.get("macro_f1"),
        macro_f1_low=interval.get("low"),
        macro_f1_high=interval.get("high"),
        ece=report.get("ece"),
        labels=[
            {"label": label, **report["per_label"][label]}
            # JSON in the database keeps no order; the list of labels does.
            for label in labels or sorted(report.get("per_label", {}))
        ],
        confusion=[
            (label, _cells(row, place))
            for place, (label, row) in enumerate(
                zip(labels, report.get("confusion", []), strict=False)
            )
        ],
        columns=list(labels),
        errors=report.get("worst_errors", []),
    )


def _cells(row: list[int], place: int) -> list[Cell]:
    total = sum(row)
    return [
        Cell(
            count=count,
            share=count / total if total else 0.0,
            # A single wrong text is still visible.
            shade=min(_SHADES, max(1, round(_SHADES * count / total))) if count else 0,
            right=column == place,
        )
        for column, count in enumerate(row)
    ]
