"""Runs and versions side by side: what was set differently, and what came of it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _

from rootstock.modelhub import selectors
from rootstock.modelhub.gate.figures import Figure
from rootstock.modelhub.models import Comparison, ModelVersion, Split, TrainingRun
from rootstock.modelhub.report import report_figure
from rootstock.modelhub.training_settings import option_default, settable_options

MOST = 6
_NO_FIGURES = frozenset({"count", "without_relevant", "tokens", "entities"})


@dataclass(frozen=True)
class Item:
    """A run, the version that came of it, or both."""

    key: str
    label: str
    run: TrainingRun | None
    version: ModelVersion | None

    @property
    def part(self) -> str:
        """The part of the snapshot that its figures are of; empty without any."""
        metrics = self.version.metrics if self.version else {}
        return next((str(part) for part in (Split.TEST, Split.VALIDATION) if metrics.get(part)), "")

    @property
    def report(self) -> dict[str, Any]:
        """Its figures."""
        report: dict[str, Any] = (
            self.version.metrics[self.part] if self.version and self.part else {}
        )
        return report

    @property
    def snapshot_id(self) -> uuid.UUID | None:
        """What it was trained and measured on."""
        if self.run is not None:
            return self.run.snapshot_id
        return self.version.snapshot_id if self.version else None

    @property
    def config(self) -> dict[str, Any]:
        """The options that were set, and where it began."""
        if self.run is None:
            return {"base": self.version.base} if self.version else {}
        begun = {"parent": self.run.parent.label} if self.run.parent else {}
        config: dict[str, Any] = begun | self.run.config
        return config


def items_of(keys: Sequence[str]) -> list[Item]:
    """The runs ("run:ID") and versions ("version:ID") of these keys, in order, each once.

    Raises:
        Http404: one is not there.
    """
    return [_item(key) for key in dict.fromkeys(keys)][:MOST]


def side_by_side(items: Sequence[Item]) -> dict[str, Any]:
    """Everything that a page or a program needs to compare them; lists of values are in the order of the items."""
    parts = {(item.snapshot_id, item.part) for item in items}
    return {
        "items": [_shown(item) for item in items],
        "options": _options(items),
        "figures": _figures(items),
        "labels": _labels(items),
        "curves": [_curve(item) for item in items if item.run is not None],
        "same_part": len(parts) == 1 and all(item.part for item in items),
        "differences": [_difference(row) for row in comparisons(items)],
    }


def comparisons(items: Iterable[Item]) -> list[Comparison]:
    """What paired comparisons among these there are, the newest first."""
    versions = [item.version for item in items if item.version is not None]
    rows = Comparison.objects.filter(first__in=versions, second__in=versions)
    return list(rows.select_related("first", "second", "snapshot__dataset").order_by("-updated_at"))


def open_pairs(items: Sequence[Item]) -> list[tuple[ModelVersion, ModelVersion]]:
    """Pairs of versions of one task that nobody has compared on the same rows yet."""
    done = {frozenset((row.first_id, row.second_id)) for row in comparisons(items)}
    versions = [item.version for item in items if item.version is not None]
    return [
        (first, second)
        for first, second in itertools.combinations(versions, 2)
        if first.task == second.task
        and first.snapshot_id is not None
        and frozenset((first.pk, second.pk)) not in done
    ]


def _item(key: str) -> Item:
    kind, _colon, text = key.partition(":")
    try:
        pk = uuid.UUID(text)
    except ValueError:
        raise Http404(_("There is nothing like this to compare.")) from None
    if kind == "run":
        run = selectors.run_list().filter(pk=pk).first()
        if run is not None:
            version = selectors.version_list().filter(run=run).first()
            return Item(key, version.label if version else str(run), run, version)
    elif kind == "version":
        found = selectors.version_list().filter(pk=pk).first()
        if found is not None:
            run = selectors.run_list().filter(pk=found.run_id).first() if found.run_id else None
            return Item(key, found.label, run, found)
    raise Http404(_("There is nothing like this to compare."))


def _shown(item: Item) -> dict[str, Any]:
    return {
        "key": item.key,
        "label": item.label,
        "run": str(item.run.pk) if item.run else None,
        "version": str(item.version.pk) if item.version else None,
        "snapshot": str(item.snapshot_id) if item.snapshot_id else None,
        "part": item.part,
        "state": item.run.current_state if item.run else TrainingRun.State.SUCCEEDED,
        "headline": item.report.get("headline") or (item.run.headline if item.run else ""),
    }


def _options(items: Sequence[Item]) -> list[dict[str, Any]]:
    """What was set for any of them, with the default where nothing was; what differs first."""
    defaults = {option.name: option_default(option) for option in settable_options()}
    configs = [item.config for item in items]
    rows = []
    for name in dict.fromkeys(name for config in configs for name in config):
        values = [config.get(name, defaults.get(name)) for config in configs]
        differ = any(value != values[0] for value in values)
        rows.append({"name": name, "values": values, "differ": differ})
    return sorted(rows, key=lambda row: not row["differ"])


def _figures(items: Sequence[Item]) -> list[dict[str, Any]]:
    """The headline first, then every other number that a report has."""
    reports = [item.report for item in items]
    names = [report["headline"] for report in reports if report.get("headline")]
    for report in reports:
        names += sorted(key for key, value in report.items() if _is_number(value))
    rows = []
    for name in dict.fromkeys(names):
        if name in _NO_FIGURES:
            continue
        found = [report_figure(report, name) for report in reports]
        rows.append({"name": name, "values": [_figure(each) for each in found]})
    return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _figure(found: Figure | None) -> dict[str, float | None] | None:
    return None if found is None else {"value": found.value, "low": found.low, "high": found.high}


def _labels(items: Sequence[Item]) -> list[dict[str, Any]]:
    """F1 by label; where they differ most first."""
    tables = [item.report.get("per_label") or {} for item in items]
    rows = []
    for label in sorted({label for table in tables for label in table}):
        values = [table[label].get("f1") if label in table else None for table in tables]
        known = [value for value in values if value is not None]
        rows.append(
            {
                "label": label,
                "values": values,
                "spread": max(known, default=0) - min(known, default=0),
            }
        )
    return sorted(rows, key=lambda row: -row["spread"])


def _curve(item: Item) -> dict[str, Any]:
    run = item.run
    assert run is not None  # noqa: S101 - the caller's condition
    return {
        "key": item.key,
        "label": item.label,
        "headline": run.headline,
        "points": selectors.run_curve(run),
    }


def _difference(row: Comparison) -> dict[str, Any]:
    return {
        "first": str(row.first_id),
        "second": str(row.second_id),
        "first_label": row.first.label,
        "second_label": row.second.label,
        "snapshot": str(row.snapshot),
        "split": row.split,
        "count": row.count,
        "differences": row.differences,
    }
