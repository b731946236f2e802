"""Does it still know what the versions before it knew?"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.against import Against, against, allowed_loss
from rootstock.modelhub.gate.base import (
    Candidate,
    Check,
    Figures,
    Finding,
    Limits,
    Need,
    Outcome,
    measured_split,
)
from rootstock.modelhub.models import ModelVersion, Snapshot

LOSS = allowed_loss(3.0)


def needs(candidate: Candidate) -> list[Need]:
    """The candidate and its parent on every snapshot that an ancestor of the same question was trained on."""
    kin = _kin(candidate)
    if not kin:
        return []
    parent, wanted = kin[0], []
    for snapshot in _earlier(candidate):
        split = measured_split(snapshot)
        wanted += [Need(candidate.version, snapshot, split), Need(parent, snapshot, split)]
    return wanted


def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
    """On each earlier snapshot the main number is not much below the parent's."""
    kin = _kin(candidate)
    if not kin:
        return Finding(
            Outcome.NOT_APPLICABLE, gettext_noop("It was not trained from another version.")
        )
    parent = kin[0]
    wanted = needs(candidate)
    if not wanted:
        message = gettext_noop("The versions before it were trained on no other snapshot.")
        return Finding(Outcome.NOT_APPLICABLE, message)
    compared: list[Against] = []
    for ours, theirs in zip(wanted[::2], wanted[1::2], strict=True):
        found = against(ours, theirs, figures)
        if isinstance(found, Finding):
            return found
        compared.append(found)
    allowed = limits[LOSS.key]
    # What fails comes before what merely is further down and may be chance.
    worst = min(compared, key=lambda each: (not each.loses(allowed), each.points))
    return Finding(
        Outcome.FAILED if worst.loses(allowed) else Outcome.PASSED,
        _message(worst),
        {"parent": parent.label, "count": len(compared), **worst.params()},
        {"parent": parent.label, "snapshots": [_row(each) for each in compared]},
    )


def _message(worst: Against) -> str:
    if worst.test is not None:
        return gettext_noop(
            "Worst on %(snapshot)s: %(ours)s against %(theirs)s of its parent %(parent)s, %(points)s points (95 %% "
            "interval of the difference %(low)s to %(high)s; rows won %(won)s, lost %(lost)s, equal %(tied)s); "
            "earlier snapshots: %(count)s."
        )
    return gettext_noop(
        "Worst on %(snapshot)s: %(ours)s against %(theirs)s of its parent %(parent)s (%(points)s points); "
        "earlier snapshots: %(count)s."
    )


def _row(found: Against) -> dict[str, Any]:
    return {
        "snapshot": str(found.need.snapshot),
        "split": found.need.split,
        "metric": found.ours.key,
        "value": found.ours.value,
        "parent_value": found.theirs.value,
        "points": found.points,
        "interval": found.ours.interval,
        **found.evidence(),
    }


def _kin(candidate: Candidate) -> list[ModelVersion]:
    """Ancestors that answered the same question, the nearest first.

    An encoder that was only pretrained, or the version of another head, gave its encoder and has nothing to be
    forgotten: it is of another task, or knows none of the labels.
    """
    version = candidate.version
    labels = set(version.labels)
    return [
        ancestor
        for ancestor in candidate.ancestors
        if ancestor.task == version.task and (not labels or labels & set(ancestor.labels))
    ]


def _earlier(candidate: Candidate) -> list[Snapshot]:
    """Snapshots of the ancestors, the oldest first, without the candidate's own."""
    found: dict[Any, Snapshot] = {}
    for ancestor in reversed(_kin(candidate)):
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
