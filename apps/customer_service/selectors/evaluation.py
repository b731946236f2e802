"""What the pages of the evaluation show: questions, runs, and what a run found better or worse than the one before."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models import EvaluationQuestion, EvaluationRun

# In the order in which they are shown; all are from 0 to 1.
FIGURES = {
    "recall_at_1": _("Right source first"),
    "recall_at_5": _("Right source among the first five"),
    "mrr_at_10": _("Mean reciprocal rank"),
    "right": _("Answered as it should be"),
    "answered": _("Answered at all"),
    "refused_right": _("Rightly not answered"),
}


@dataclass(frozen=True)
class Figure:
    """A figure of a run. `before` is the baseline's; `low` and `high` are its 95 % interval."""

    key: str
    label: Any
    now: float
    low: float
    high: float
    before: float | None

    @property
    def change(self) -> float | None:
        """Percentage points since the baseline."""
        return None if self.before is None else 100 * (self.now - self.before)

    @property
    def change_told(self) -> str:
        """The change as it is written: +1.5, −2.0, 0.0."""
        change = round(self.change or 0.0, 1)
        return f"{change:+.1f}".replace("-", "−") if change else "0.0"


@dataclass(frozen=True)
class Difference:
    """A question that went otherwise than in the baseline; rows as `services.evaluation.Row` keeps them."""

    before: Mapping[str, Any]
    now: Mapping[str, Any]
    worse: bool


def questions_find(*, q: str = "") -> QuerySet[EvaluationQuestion]:
    """Questions to evaluate by, newest first."""
    found = EvaluationQuestion.objects.order_by("-pk")
    return found.filter(question__icontains=q) if q else found


def question_get(question_id: uuid.UUID | str) -> EvaluationQuestion:
    """One question.

    Raises:
        Http404: there is none.
    """
    question = EvaluationQuestion.objects.filter(pk=question_id).first()
    if question is None:
        raise Http404("no such question")
    return question


def runs_all() -> QuerySet[EvaluationRun]:
    """All runs, newest first, without their rows."""
    return EvaluationRun.objects.defer("rows").order_by("-pk")


def run_get(run_id: uuid.UUID | str) -> EvaluationRun:
    """One run with its baseline.

    Raises:
        Http404: there is none.
    """
    run = EvaluationRun.objects.select_related("baseline").filter(pk=run_id).first()
    if run is None:
        raise Http404("no such run")
    return run


def run_figures(run: EvaluationRun) -> list[Figure]:
    """The figures of a run beside those of its baseline."""
    before = run.baseline.figures if run.baseline is not None else {}
    intervals = run.figures.get("interval", {})
    found = []
    for key, label in FIGURES.items():
        if key in run.figures:
            low, high = intervals.get(key, (0.0, 1.0))
            found.append(Figure(key, label, run.figures[key], low, high, before.get(key)))
    return found


def run_differences(run: EvaluationRun) -> list[Difference]:
    """The questions of both runs that went otherwise, what got worse first."""
    if run.baseline is None:
        return []
    before = {row["question"]: row for row in run.baseline.rows}
    found = [
        Difference(before[row["question"]], row, _quality(row) < _quality(before[row["question"]]))
        for row in run.rows
        if row["question"] in before and _quality(row) != _quality(before[row["question"]])
    ]
    return sorted(found, key=lambda each: not each.worse)


def _quality(row: Mapping[str, Any]) -> tuple[bool, float]:
    """More is better: answered as it should be, then how high its source stood."""
    return bool(row["right"]), 1 / row["rank"] if row["rank"] else 0.0
