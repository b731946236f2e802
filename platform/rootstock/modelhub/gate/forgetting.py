"""Does it still know what the versions before it knew?"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.base import (
    Candidate,
    Check,
    Figures,
    Finding,
    Limit,
    Limits,
    Need,
    Outcome,
    measured_split,
)
from rootstock.modelhub.gate.figures import figure, points, written
from rootstock.modelhub.models import Snapshot

LOSS = Limit(
    "allowed_loss_points", gettext_noop("Allowed loss"), gettext_noop("points"), 3.0, 0.0, 100.0
)


def needs(candidate: Candidate) -> list[Need]:
    """The candidate and its parent on every snapshot that an ancestor was trained on."""
    parent = candidate.ancestors[0] if candidate.ancestors else None
    if parent is None:
        return []
    wanted = []
    for snapshot in _earlier(candidate):
        split = measured_split(snapshot)
        wanted += [Need(candidate.version, snapshot, split), Need(parent, snapshot, split)]
    return wanted


def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
    """On each earlier snapshot the main number is not much below the parent's."""
    if not candidate.ancestors:
        return Finding(
            Outcome.NOT_APPLICABLE, gettext_noop("It was not trained from another version.")
        )
    parent = candidate.ancestors[0]
    wanted = needs(candidate)
    if not wanted:
        message = gettext_noop("The versions before it were trained on no other snapshot.")
        return Finding(Outcome.NOT_APPLICABLE, message)
    rows: list[dict[str, Any]] = []
    for ours_need, theirs_need in zip(wanted[::2], wanted[1::2], strict=True):
        row = _row(ours_need, theirs_need, figures)
        if isinstance(row, Finding):
            return row
        rows.append(row)
    worst = min(rows, key=lambda row: float(row["points"]))
    return Finding(
        Outcome.PASSED if worst["points"] >= -limits[LOSS.key] else Outcome.FAILED,
        gettext_noop(
            "Worst on %(snapshot)s: %(ours)s against %(theirs)s of its parent %(parent)s (%(points)s points); "
            "earlier snapshots: %(count)s."
        ),
        {
            "snapshot": worst["snapshot"],
            "ours": written(worst["value"]),
            "theirs": written(worst["parent_value"]),
            "parent": parent.label,
            "points": f"{worst['points']:+.1f}",
            "count": len(rows),
        },
        {"parent": parent.label, "snapshots": rows},
    )


def _row(ours_need: Need, theirs_need: Need, figures: Figures) -> dict[str, Any] | Finding:
    for need in (ours_need, theirs_need):
        if figures.report(need) is None:
            problem = figures.problem(need)
            if problem:
                message = gettext_noop(
                    "%(version)s could not be measured on %(snapshot)s: %(problem)s"
                )
            else:
                message = gettext_noop(
                    "%(version)s was not measured on %(snapshot)s yet. Run the gate: it measures that."
                )
            values = {
                "version": need.version.label,
                "snapshot": str(need.snapshot),
                "problem": problem,
            }
            return Finding(Outcome.NOT_MEASURED, message, values)
    ours = figure(figures.reports[ours_need.key])
    theirs = figure(figures.reports[theirs_need.key], ours.key) if ours else None
    if ours is None or theirs is None:
        message = gettext_noop("The reports of the two versions have no number in common.")
        return Finding(Outcome.NOT_MEASURED, message)
    return {
        "snapshot": str(ours_need.snapshot),
        "split": ours_need.split,
        "metric": ours.key,
        "value": ours.value,
        "parent_value": theirs.value,
        "points": points(ours.value, theirs.value),
        "interval": ours.interval,
    }


def _earlier(candidate: Candidate) -> list[Snapshot]:
    """Snapshots of the ancestors, the oldest first, without the candidate's own."""
    found: dict[Any, Snapshot] = {}
    for ancestor in reversed(candidate.ancestors):
        if ancestor.snapshot is not None and ancestor.snapshot_id != candidate.version.snapshot_id:
            found.setdefault(ancestor.snapshot_id, ancestor.snapshot)
    return list(found.values())


CHECK = Check(
    key="forgetting",
    title=gettext_noop("Forgetting"),
    asks=gettext_noop(
        "On every snapshot of the versions before it, at most %(allowed_loss_points)s points below its parent."
    ),
    judge=judge,
    limits=(LOSS,),
    needs=needs,
)
