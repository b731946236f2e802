"""A version against another on the same examples: what the checks that allow a loss share.

With the answers of both row by row the difference is judged by a paired test. It fails a version when two things come
together: the loss is larger than the one that is allowed, and the 95 % interval of the difference lies below zero, so
that chance does not explain it. Without the answers there are only the two reports: then the loss alone decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop

from ml_core.evaluation import PairedTest, compare_answers
from rootstock.modelhub.gate.base import Figures, Finding, Need, Outcome
from rootstock.modelhub.gate.figures import Figure, figure, points, share, written
from rootstock.modelhub.policies import Limit
from rootstock.modelhub.storage import StorageProblem

PAIRED, INTERVALS = "paired test on the same rows", "intervals of the two reports"
NO_ANSWERS = "the answers of %s row by row were not kept: it was measured before they were, or its task has none"


@dataclass(frozen=True)
class Against:
    """The main number of a version beside that of another, on one part of a snapshot.

    `test` is the paired test, "ours" being the second; None where it could not be made, for the reason `unpaired`.
    """

    need: Need
    ours: Figure
    theirs: Figure
    test: PairedTest | None
    unpaired: str

    @property
    def points(self) -> float:
        """By how many points ours is better; below zero it is worse."""
        return points(self.ours.value, self.theirs.value)

    @property
    def interval(self) -> list[float] | None:
        """The 95 % interval of the difference in points, where there is a paired test."""
        if self.test is None:
            return None
        found = self.test.difference.interval
        return [round(share(self.ours.key, end) * 100, 2) for end in (found.low, found.high)]

    @property
    def chance(self) -> bool | None:
        """Whether chance may explain the difference: the interval holds zero, or those of the reports overlap."""
        if self.interval is not None:
            return self.interval[0] <= 0 <= self.interval[1]
        ours, theirs = self.ours.interval, self.theirs.interval
        if ours is None or theirs is None:
            return None
        return ours[0] <= theirs[1] and theirs[0] <= ours[1]

    def loses(self, allowed: float) -> bool:
        """Whether it is worse by more than `allowed` points, and surely worse where that can be told."""
        if self.points >= -allowed:
            return False
        return self.interval is None or not self.interval[1] >= 0

    def evidence(self) -> dict[str, Any]:
        """What is stored of it."""
        if self.test is None:
            return {"compared_by": INTERVALS, "unpaired_because": self.unpaired}
        p_values = {"p_value": round(self.test.difference.p_value, 6)}
        if self.test.mcnemar_p is not None:
            p_values["mcnemar_p"] = round(self.test.mcnemar_p, 6)
        return {
            "compared_by": PAIRED,
            "difference_points": self.points,
            "difference_interval": self.interval,
            "rows": self.test.rows,
            "rows_won": self.test.won,
            "rows_lost": self.test.lost,
            "rows_tied": self.test.tied,
            **p_values,
        }

    def params(self) -> dict[str, Any]:
        """The numbers that messages name."""
        shown = {
            "metric": self.ours.name,
            "ours": written(self.ours.value),
            "theirs": written(self.theirs.value),
            "split": self.need.split,
            "snapshot": str(self.need.snapshot),
            "points": f"{self.points:+.1f}",
        }
        if self.test is None or self.interval is None:
            return shown
        low, high = self.interval
        rows = {"won": self.test.won, "lost": self.test.lost, "tied": self.test.tied}
        return shown | rows | {"low": f"{low:+.1f}", "high": f"{high:+.1f}"}


def allowed_loss(default: float) -> Limit:
    """The limit of a check that allows a loss."""
    title, unit = gettext_noop("Allowed loss"), gettext_noop("points")
    return Limit("allowed_loss_points", title, default, 0.0, 100.0, unit)


def against(ours: Need, theirs: Need, figures: Figures) -> Against | Finding:
    """The two versions of the needs side by side, or why they cannot be: something was not measured."""
    for need in (ours, theirs):
        if figures.report(need) is None:
            return _missing(need, figures)
    our_figure = figure(figures.reports[ours.key])
    their_figure = figure(figures.reports[theirs.key], our_figure.key) if our_figure else None
    if our_figure is None or their_figure is None:
        message = gettext_noop("The reports of the two versions have no number in common.")
        return Finding(Outcome.NOT_MEASURED, message)
    test = _paired(ours, theirs, figures)
    if isinstance(test, str):
        return Against(ours, our_figure, their_figure, None, test)
    if test.figure != our_figure.key:
        reason = f"the answers make the figure {test.figure}, not {our_figure.key}"
        return Against(ours, our_figure, their_figure, None, reason)
    return Against(ours, our_figure, their_figure, test, "")


def _paired(ours: Need, theirs: Need, figures: Figures) -> PairedTest | str:
    """The paired test, or why there is none."""
    answers = []
    for need in (theirs, ours):
        try:
            found = figures.answers(need)
        except (StorageProblem, ValueError, OSError) as error:
            return f"the answers of {need.version.label} cannot be read: {error}"
        if found is None:
            return NO_ANSWERS % need.version.label
        answers.append(found)
    try:
        return compare_answers(answers[0], answers[1])
    except ValueError as error:
        return str(error)


def _missing(need: Need, figures: Figures) -> Finding:
    problem = figures.problem(need)
    values = {
        "version": need.version.label,
        "snapshot": str(need.snapshot),
        "split": need.split,
        "problem": problem,
    }
    if problem:
        message = gettext_noop(
            "%(version)s could not be measured on the %(split)s examples of %(snapshot)s: %(problem)s"
        )
    else:
        message = gettext_noop(
            "%(version)s was measured on another snapshot and not yet on the %(split)s examples of %(snapshot)s. "
            "Run the gate: it measures that."
        )
    return Finding(Outcome.NOT_MEASURED, message, values)
