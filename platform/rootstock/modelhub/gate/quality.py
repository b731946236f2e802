"""Is it at least as good as what serves now?"""

from __future__ import annotations

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
    own_need,
)

LOSS = allowed_loss(1.0)


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
    found = against(wanted[0], wanted[1], figures)
    if isinstance(found, Finding):
        return found
    evidence = {
        "snapshot": str(found.need.snapshot),
        "split": found.need.split,
        "metric": found.ours.key,
        found.ours.key: found.ours.value,
        f"deployed_{found.ours.key}": found.theirs.value,
        "points": found.points,
        "interval": found.ours.interval,
        "deployed_interval": found.theirs.interval,
        "deployed": current.label,
        "deployed_trained_on": str(current.snapshot) if current.snapshot else None,
        **found.evidence(),
    }
    if found.test is None:
        evidence["intervals_overlap"] = found.chance
    lost = found.loses(limits[LOSS.key])
    return Finding(
        Outcome.FAILED if lost else Outcome.PASSED,
        _message(
            found,
            same=current.snapshot_id == found.need.snapshot.pk,
            too_few=not lost and found.points < -limits[LOSS.key],
        ),
        {"current": current.label, **found.params()},
        evidence,
    )


def _message(found: Against, *, same: bool, too_few: bool) -> str:
    if found.test is not None and too_few:
        return gettext_noop(
            "%(metric)s %(ours)s against %(theirs)s of %(current)s on the same %(split)s examples of %(snapshot)s: "
            "%(points)s points, but chance may explain it (95 %% interval of the difference %(low)s to %(high)s; rows "
            "won %(won)s, lost %(lost)s, equal %(tied)s). More examples would tell."
        )
    if found.test is not None:
        return gettext_noop(
            "%(metric)s %(ours)s against %(theirs)s of %(current)s on the same %(split)s examples of %(snapshot)s: "
            "%(points)s points (95 %% interval of the difference %(low)s to %(high)s; rows won %(won)s, lost "
            "%(lost)s, equal %(tied)s)."
        )
    if same and found.chance:
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
