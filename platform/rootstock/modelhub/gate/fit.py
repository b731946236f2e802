"""Does the version do what the deployment's users ask for?"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.base import Candidate, Check, Figures, Finding, Limits, Outcome


def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
    """The task is the deployment's, and no label that its users know goes away."""
    version, deployment = candidate.version, candidate.deployment
    if deployment is None:
        message = gettext_noop("The deployment is new; it takes the labels of this version.")
        return Finding(Outcome.PASSED, message)
    if version.task != deployment.task:
        return Finding(
            Outcome.FAILED,
            gettext_noop("The deployment is for %(wanted)s, this version does %(has)s."),
            {"wanted": deployment.task, "has": version.task},
            can_be_forced=False,
        )
    gone = sorted(set(deployment.version.labels) - set(version.labels))
    new = sorted(set(version.labels) - set(deployment.version.labels))
    if gone or new:
        return Finding(
            Outcome.FAILED,
            gettext_noop(
                "The labels differ from the deployed version's: gone: %(gone)s; new: %(new)s."
            ),
            {"gone": _listed(gone), "new": _listed(new)},
            {"gone": gone, "new": new},
        )
    return Finding(Outcome.PASSED, gettext_noop("Same task and labels as the deployed version."))


def _listed(labels: list[str]) -> str:
    shown = ", ".join(labels[:10]) or "–"
    return f"{shown} … ({len(labels)})" if len(labels) > 10 else shown


CHECK = Check(
    key="labels",
    title=gettext_noop("Task and labels"),
    asks=gettext_noop("The task is the deployment's, and its labels stay the same."),
    judge=judge,
    required=True,
)
