"""What a version must pass before it answers for a deployment: a list of small functions.

A check is a function from a `Candidate` to a `Verdict`; `CHECKS` is the list, in the order in which they run and are
shown. To add one, write the function and put it in the list. A verdict that `can_be_forced` may be overruled by a
person who gives a reason; the others never.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from ml_core.registry import Artifact, ArtifactError
from rootstock.modelhub.inference import InferenceUnavailable, ModelUnusable, load_version
from rootstock.modelhub.models import Deployment, ModelVersion
from rootstock.modelhub.storage import absolute_path

# Macro F1 points (1 point = 0.01) that a new version may lose against the deployed one on the same snapshot.
ALLOWED_LOSS_POINTS = 1.0


@dataclass(frozen=True)
class Candidate:
    """A version on its way to a deployment; `deployment` is None when the slot is new."""

    version: ModelVersion
    deployment: Deployment | None


@dataclass(frozen=True)
class Verdict:
    """What a check found, in words, with the figures behind it."""

    check: str
    passed: bool
    detail: str
    can_be_forced: bool = False
    evidence: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)


def artifact_is_whole(candidate: Candidate) -> Verdict:
    """Every file of the artefact is there and has the hash that was registered."""
    version = candidate.version
    try:
        artifact = Artifact.open(absolute_path(version.artifact_path))
    except ArtifactError as error:
        return Verdict("artifact", False, _("The files are not usable: %s") % error.problem)
    if artifact.digest != version.digest:
        return Verdict("artifact", False, _("The files are not the ones that were registered."))
    return Verdict("artifact", True, _("All files are there and unchanged."))


def labels_fit(candidate: Candidate) -> Verdict:
    """The task is the deployment's, and no label that its users know goes away."""
    version, deployment = candidate.version, candidate.deployment
    if deployment is None:
        return Verdict(
            "labels", True, _("The deployment is new; it takes the labels of this version.")
        )
    if version.task != deployment.task:
        detail = _("The deployment is for %(wanted)s, this version does %(has)s.") % {
            "wanted": deployment.get_task_display(),
            "has": version.get_task_display(),
        }
        return Verdict("labels", False, detail)
    gone = sorted(set(deployment.version.labels) - set(version.labels))
    new = sorted(set(version.labels) - set(deployment.version.labels))
    evidence = {"gone": gone, "new": new}
    if gone or new:
        detail = _(
            "The labels differ from the deployed version's: gone: %(gone)s; new: %(new)s."
        ) % {
            "gone": ", ".join(gone) or "–",
            "new": ", ".join(new) or "–",
        }
        return Verdict("labels", False, detail, can_be_forced=True, evidence=evidence)
    return Verdict("labels", True, _("Same task and labels as the deployed version."))


def not_worse(candidate: Candidate) -> Verdict:
    """Macro F1 on the same part of the same snapshot is at most one point below the deployed version's."""
    version, deployment = candidate.version, candidate.deployment
    if deployment is None:
        return Verdict("quality", True, _("Nothing is deployed to compare with."))
    current = deployment.version
    if current.pk == version.pk:
        return Verdict("quality", True, _("This version is the deployed one."))
    if version.snapshot_id is None or version.snapshot_id != current.snapshot_id:
        return Verdict(
            "quality",
            True,
            _("Not compared: the deployed version was measured on another snapshot."),
        )
    for split in ("test", "validation"):
        ours, theirs = (_macro_f1(each, split) for each in (version, current))
        if ours is None or theirs is None:
            continue
        points = (ours - theirs) * 100
        evidence = {
            "split": split,
            "macro_f1": ours,
            "deployed_macro_f1": theirs,
            "points": round(points, 2),
        }
        detail = _(
            "Macro F1 %(ours).1f %% against %(theirs).1f %% of %(current)s on the same %(split)s examples "
            "(%(points)+.1f points)."
        ) % {
            "ours": ours * 100,
            "theirs": theirs * 100,
            "current": current.label,
            "split": split,
            "points": points,
        }
        passed = points >= -ALLOWED_LOSS_POINTS
        return Verdict("quality", passed, detail, can_be_forced=True, evidence=evidence)
    return Verdict("quality", True, _("Not compared: one of the versions has no figures."))


def loads(candidate: Candidate) -> Verdict:
    """The inference process can load it; from then on it is warm."""
    try:
        info = load_version(candidate.version.artifact_path)
    except InferenceUnavailable as error:
        return Verdict(
            "loads",
            False,
            _("The inference process does not answer, so nobody knows whether it loads: %s")
            % error,
        )
    except ModelUnusable as error:
        return Verdict("loads", False, _("The inference process cannot load it: %s") % error)
    if info.digest != candidate.version.digest:
        return Verdict("loads", False, _("The inference process loaded other files."))
    return Verdict("loads", True, _("The inference process has loaded it."))


CHECKS: list[Callable[[Candidate], Verdict]] = [artifact_is_whole, labels_fit, not_worse, loads]


def run_checks(candidate: Candidate) -> list[Verdict]:
    """The verdict of every check. A version whose files are broken is not loaded."""
    verdicts: list[Verdict] = []
    for check in CHECKS:
        if check is loads and any(not v.passed and not v.can_be_forced for v in verdicts):
            break
        verdicts.append(check(candidate))
    return verdicts


def _macro_f1(version: ModelVersion, split: str) -> float | None:
    value = version.metrics.get(split, {}).get("macro_f1")
    return float(value) if value is not None else None
