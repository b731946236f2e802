"""Is it at least as good as what serves now?"""

from __future__ import annotations

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
    own_need,
)
from rootstock.modelhub.gate.figures import figure, points, written

LOSS = Limit(
    "allowed_loss_points", gettext_noop("Allowed loss"), gettext_noop("points"), 1.0, 0.0, 100.0
)


def needs(candidate: Candidate) -> list[Need]:
    """Both versions on the candidate's snapshot; on the deployed one's when the candidate has none."""
    current = candidate.deployed
    if current is None:
        return []
    need = own_need(candidate.version)
    if need is None and current.snapshot is not None:
        need = Need(candidate.version, current.snapshot, measured_split(current.snapshot))
    if need is None:
        return []
    if need.snapshot.pk == current.snapshot_id and not current.metrics.get(need.split):
        # Of two versions of one snapshot the part is taken that both have figures of.
        for split in current.metrics:
            if candidate.version.metrics.get(split):
                need = Need(candidate.version, need.snapshot, split)
                break
    return [need, Need(current, need.snapshot, need.split)]


def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
    """The main number on the same part of the same snapshot is not much below the deployed version's."""
    current = candidate.deployed
    if current is None:
        message = gettext_noop("Nothing else is deployed to compare with.")
        return Finding(Outcome.NOT_APPLICABLE, message)
    wanted = needs(candidate)
    if not wanted:
        message = gettext_noop(
            "Neither this version nor %(current)s belongs to a snapshot, so there are no examples to compare on."
        )
        return Finding(Outcome.NOT_APPLICABLE, message, {"current": current.label})
    missing = _missing(wanted, figures)
    if missing is not None:
        return missing
    ours_report, theirs_report = (figures.reports[need.key] for need in wanted)
    ours = figure(ours_report)
    theirs = figure(theirs_report, ours.key) if ours else None
    if ours is None or theirs is None:
        message = gettext_noop("The reports of the two versions have no number in common.")
        return Finding(Outcome.NOT_MEASURED, message)
    difference = points(ours.value, theirs.value)
    snapshot, split = wanted[0].snapshot, wanted[0].split
    overlap = None
    if ours.interval and theirs.interval:
        overlap = ours.interval[0] <= theirs.interval[1] and theirs.interval[0] <= ours.interval[1]
    evidence = {
        "snapshot": str(snapshot),
        "split": split,
        "metric": ours.key,
        ours.key: ours.value,
        f"deployed_{ours.key}": theirs.value,
        "points": difference,
        "interval": ours.interval,
        "deployed_interval": theirs.interval,
        "intervals_overlap": overlap,
        "deployed": current.label,
        "deployed_trained_on": str(current.snapshot) if current.snapshot else None,
    }
    return Finding(
        Outcome.PASSED if difference >= -limits[LOSS.key] else Outcome.FAILED,
        _message(same=current.snapshot_id == snapshot.pk, overlap=overlap),
        {
            "metric": ours.name,
            "ours": written(ours.value),
            "theirs": written(theirs.value),
            "current": current.label,
            "split": split,
            "points": f"{difference:+.1f}",
            "snapshot": str(snapshot),
        },
        evidence,
    )


def _message(*, same: bool, overlap: bool | None) -> str:
    if same and overlap:
        return gettext_noop(
            "%(metric)s %(ours)s against %(theirs)s of %(current)s on the same %(split)s examples of %(snapshot)s "
            "(%(points)s points; the intervals overlap, so chance may explain it)."
        )
    if same:
        return gettext_noop(
            "%(metric)s %(ours)s against %(theirs)s of %(current)s on the same %(split)s examples of %(snapshot)s "
            "(%(points)s points)."
        )
    return gettext_noop(
        "%(current)s was trained on another snapshot, so it was measured anew on the %(split)s examples of "
        "%(snapshot)s: %(metric)s %(ours)s against its %(theirs)s (%(points)s points)."
    )


def _missing(wanted: list[Need], figures: Figures) -> Finding | None:
    for need in wanted:
        if figures.report(need) is not None:
            continue
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
    return None


CHECK = Check(
    key="quality",
    title=gettext_noop("Quality"),
    asks=gettext_noop(
        "On the same examples, at most %(allowed_loss_points)s points below the deployed version."
    ),
    judge=judge,
    limits=(LOSS,),
    needs=needs,
)
