"""Reading reports: the main number, its interval, and how both are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.base import (
    Candidate,
    Figures,
    Finding,
    Judge,
    Limits,
    Need,
    Outcome,
    Report,
    own_need,
)
from rootstock.modelhub.models import Split
from rootstock.modelhub.policies import Limit

# What a report compares by when it does not say.
_MAIN = ("macro_f1", "accuracy")
_NAMES = {
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "accuracy": "Accuracy",
    "f1": "F1",
    "chrf": "chrF",
}
# Reports give these from 0 to 100; here every share is from 0 to 1.
_OF_HUNDRED = frozenset({"chrf", "bleu"})


@dataclass(frozen=True)
class Figure:
    """The main number of a report (higher is better) and its 95 % interval, where there is one."""

    key: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return _NAMES.get(self.key, self.key)

    @property
    def interval(self) -> list[float] | None:
        """[low, high], or None."""
        return None if self.low is None or self.high is None else [self.low, self.high]


def figure(report: Report, key: str | None = None) -> Figure | None:
    """The number `key` of a report, by default its headline; None when it has none."""
    keys = [key] if key else [report.get("headline"), *_MAIN]
    for name in keys:
        value = number(report, name) if name else None
        if name and value is not None:
            low, high = _interval(report, name)
            return Figure(name, share(name, value), low, high)
    return None


def share(key: str, value: float) -> float:
    """A number of a report on the scale from 0 to 1, if it has one."""
    return value / 100 if key in _OF_HUNDRED else value


def number(report: Report, key: str) -> float | None:
    """A number of a report, or None."""
    value = report.get(key)
    return float(value) if isinstance(value, int | float) else None


def written(value: float) -> str:
    """0.853 as "85.3 %"; what is no share as it is."""
    return f"{value * 100:.1f} %" if 0 <= value <= 1 else f"{value:.3f}"


def points(ours: float, theirs: float) -> float:
    """The difference in points: hundredths of the number."""
    return round((ours - theirs) * 100, 2)


def own_report(candidate: Candidate, figures: Figures) -> tuple[Report, str] | None:
    """The candidate's report on its own snapshot, or one that was registered with it; and its part."""
    need = own_need(candidate.version)
    if need is not None:
        report = figures.report(need)
        return None if report is None else (report, need.split)
    for split in (Split.TEST, Split.VALIDATION):
        if candidate.version.metrics.get(split):
            return candidate.version.metrics[split], str(split)
    return None


def of_own_report(look: Callable[[Report, str, Limits], Finding]) -> Judge:
    """The `judge` of a check that looks at the candidate's own report alone: `look(report, part, limits)`."""

    def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
        found = own_report(candidate, figures)
        if found is None:
            message = gettext_noop("There are no figures for this version.")
            return Finding(Outcome.NOT_MEASURED, message)
        return look(*found, limits)

    return judge


def fewest_examples(title: str, default: float) -> Limit:
    """The limit of a check for which few examples tell nothing."""
    return Limit("fewest_examples", title, default, 1, 1_000_000, gettext_noop("examples"))


def needs_own(candidate: Candidate) -> list[Need]:
    """For checks that look at the candidate's own report."""
    need = own_need(candidate.version)
    return [] if need is None else [need]


def _interval(report: Report, key: str) -> tuple[float | None, float | None]:
    found: Any = report.get("intervals", {}).get(key)
    if isinstance(found, list | tuple) and len(found) == 2:
        return share(key, float(found[0])), share(key, float(found[1]))
    found = report.get(f"{key}_interval")
    if isinstance(found, dict) and {"low", "high"} <= found.keys():
        return float(found["low"]), float(found["high"])
    return None, None
