"""A version that answers a share of the texts: started, watched, and taken back by itself when a guardrail breaks."""

from __future__ import annotations

import math

from django.utils import timezone
from django.utils.translation import gettext as _

from rootstock.common.actors import SYSTEM, Actor
from rootstock.modelhub import gate
from rootstock.modelhub.errors import Conflict, ModelhubError, PromotionRefused
from rootstock.modelhub.models import Deployment, DeploymentChange, ModelVersion
from rootstock.modelhub.monitoring.rules import RULES
from rootstock.modelhub.monitoring_selectors import canary_facts, monitor_policy
from rootstock.modelhub.services.gate import gate_candidate
from rootstock.modelhub.services.history import canary_close, change_write
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.shadows import shadow_close
from rootstock.modelhub.services.versions import version_promote
from rootstock.webhooks.services import webhook_emit

ROLLED_BACK = "models.canary.rolled_back"


def canary_start(
    *,
    deployment: Deployment,
    version: ModelVersion,
    share: float,
    actor: Actor,
    reason: str = "",
) -> Deployment:
    """Let `version` answer a share of the texts in place of the deployed one; always the same texts.

    Only the checks that protect serving are made: what it is worth, the canary shall show.

    Raises:
        Conflict: it is the deployed version, or there is a canary already.
        ModelhubError: the share is not above 0 and below 1.
        PromotionRefused: its task is another, it has other labels, its files are damaged or do not load.
    """
    if not (math.isfinite(share) and 0 < share < 1):
        problem = _("The share is above 0 and below 1.")
        raise ModelhubError("invalid", problem, errors=[{"pointer": "/share", "detail": problem}])
    slot = _locked(deployment)
    if slot.version_id == version.pk:
        raise Conflict(
            "already-deployed",
            _("%(version)s is what %(deployment)s serves already.")
            % {"version": version.label, "deployment": slot.name},
        )
    if slot.canary is not None:
        raise Conflict(
            "canary-there",
            _("%(version)s is the canary; promote or end it first.")
            % {"version": slot.canary.label},
        )
    candidate, policy = gate_candidate(version=version, deployment=slot.name)
    verdicts = gate.judge(candidate, policy, gate.Figures(), required_only=True)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed:
        raise PromotionRefused(
            _("%(version)s did not become the canary: %(details)s")
            % {"version": version.label, "details": " ".join(verdict.detail for verdict in failed)},
            [verdict.to_dict() for verdict in verdicts],
        )
    if slot.shadow_id == version.pk:
        shadow_close(slot, actor=actor, reason=_("Is the canary now."))
    slot.canary, slot.canary_share, slot.canary_since = version, share, timezone.now()
    slot.save()
    change_write(
        slot,
        DeploymentChange.Kind.CANARY_STARTED,
        to=version,
        before=slot.version,
        actor=actor,
        reason=reason.strip(),
        checks=[verdict.to_dict() for verdict in verdicts],
    )
    return slot


def canary_promote(
    *, deployment: Deployment, actor: Actor, reason: str = "", force: bool = False
) -> Deployment:
    """Let the canary answer everything. It passes the gate like any version.

    Raises:
        Conflict: there is no canary.
        PromotionRefused, ModelhubError: as `version_promote`.
    """
    canary = _canary_of(_locked(deployment))
    return version_promote(
        version=canary, deployment=deployment.name, actor=actor, reason=reason, force=force
    )


def canary_end(*, deployment: Deployment, actor: Actor, reason: str = "") -> Deployment:
    """The deployed version answers everything again.

    Raises:
        Conflict: there is no canary.
    """
    slot = _locked(deployment)
    _canary_of(slot)
    canary_close(slot, DeploymentChange.Kind.CANARY_ENDED, actor=actor, reason=reason.strip())
    slot.save()
    return slot


def canary_guard(*, deployment: Deployment) -> bool:
    """Compare the canary with the deployed version; roll it back if a guardrail is broken. Returns whether it was."""
    slot = _locked(deployment)
    facts = canary_facts(slot)
    if slot.canary is None or facts is None:
        return False
    policy = monitor_policy(slot.name)
    broken = []
    for rule in RULES:
        if rule.of_canary and policy[rule.key]["enabled"]:
            finding = rule.judge(policy[rule.key]["limits"], facts)
            if finding is not None and finding.broken:
                broken.append((rule, finding.to_dict()))
    if not broken:
        return False
    canary = slot.canary
    reason = " ".join(rule.in_words(found) for rule, found in broken)
    canary_close(slot, DeploymentChange.Kind.CANARY_ROLLED_BACK, actor=SYSTEM, reason=reason)
    slot.save()
    webhook_emit(
        ROLLED_BACK,
        {
            "deployment": slot.name,
            "version": str(canary.pk),
            "label": canary.label,
            "reason": reason,
            "guardrails": [{"rule": rule.key, **found} for rule, found in broken],
        },
    )
    return True


def _locked(deployment: Deployment) -> Deployment:
    lock_name("deployment", deployment.name)
    return Deployment.objects.select_related("version", "shadow", "canary").get(pk=deployment.pk)


def _canary_of(slot: Deployment) -> ModelVersion:
    if slot.canary is None:
        raise Conflict("no-canary", _("%(deployment)s has no canary.") % {"deployment": slot.name})
    return slot.canary
