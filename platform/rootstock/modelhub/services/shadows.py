"""A second version that is asked the same and answers nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from rootstock.common.actors import Actor
from rootstock.modelhub import gate
from rootstock.modelhub.errors import Conflict, ModelhubError, PromotionRefused
from rootstock.modelhub.inference import DeploymentResult
from rootstock.modelhub.models import Deployment, DeploymentChange, ModelVersion, Prediction, Role
from rootstock.modelhub.monitoring.tallies import Tally
from rootstock.modelhub.services.gate import gate_candidate
from rootstock.modelhub.services.history import change_write
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.traffic import traffic_add


def shadow_start(
    *,
    deployment: Deployment,
    version: ModelVersion,
    actor: Actor,
    rate: float = 1.0,
    reason: str = "",
) -> Deployment:
    """Let `version` be asked about a share of the texts that `deployment` answers; nobody but people sees what it says.

    A shadow that is there already ends. Only the checks that protect serving are made.

    Raises:
        Conflict: it is the deployed version.
        ModelhubError: the rate is not above 0 and at most 1.
        PromotionRefused: its task is another, its files are damaged or do not load.
    """
    if not (math.isfinite(rate) and 0 < rate <= 1):
        problem = _("The rate is above 0 and at most 1.")
        raise ModelhubError("invalid", problem, errors=[{"pointer": "/rate", "detail": problem}])
    lock_name("deployment", deployment.name)
    slot = Deployment.objects.select_related("version", "shadow").get(pk=deployment.pk)
    if slot.version_id == version.pk:
        raise Conflict(
            "already-deployed",
            _("%(version)s is what %(deployment)s serves already.")
            % {"version": version.label, "deployment": slot.name},
        )
    candidate, policy = gate_candidate(version=version, deployment=slot.name)
    verdicts = gate.judge(candidate, policy, gate.Figures(), required_only=True)
    failed = [verdict for verdict in verdicts if not verdict.passed and not verdict.can_be_forced]
    if failed:
        raise PromotionRefused(
            _("%(version)s did not become the shadow: %(details)s")
            % {"version": version.label, "details": " ".join(verdict.detail for verdict in failed)},
            [verdict.to_dict() for verdict in verdicts],
        )
    if slot.shadow is not None:
        shadow_close(slot, actor=actor, reason=_("Replaced by %s.") % version.label)
    slot.shadow, slot.shadow_rate, slot.shadow_since = version, rate, timezone.now()
    slot.save()
    change_write(
        slot,
        DeploymentChange.Kind.SHADOW_STARTED,
        to=version,
        before=None,
        actor=actor,
        reason=reason.strip(),
        checks=[verdict.to_dict() for verdict in verdicts],
    )
    return slot


def shadow_end(*, deployment: Deployment, actor: Actor, reason: str = "") -> Deployment:
    """Ask the shadow no longer. What it has said stays in the prediction log.

    Raises:
        Conflict: there is no shadow.
    """
    lock_name("deployment", deployment.name)
    slot = Deployment.objects.select_related("version", "shadow").get(pk=deployment.pk)
    if slot.shadow is None:
        raise Conflict("no-shadow", _("%(deployment)s has no shadow.") % {"deployment": slot.name})
    shadow_close(slot, actor=actor, reason=reason.strip())
    slot.save()
    return slot


def shadow_close(slot: Deployment, *, actor: Actor, reason: str) -> None:
    """Take the shadow off a locked deployment and write that down; the caller saves the row."""
    shadow = slot.shadow
    if shadow is None:
        return
    slot.shadow, slot.shadow_since = None, None
    change_write(
        slot,
        DeploymentChange.Kind.SHADOW_ENDED,
        to=shadow,
        before=None,
        actor=actor,
        reason=reason,
    )


def shadow_log(*, result: DeploymentResult, asked: Sequence[dict[str, Any]]) -> None:
    """Keep what a shadow said beside what was answered, and count it.

    `asked` are items of the message "modelhub.shadow": {"subject_type", "subject_id", "text", "version", "label",
    "probability"}, one for each prediction of `result`.
    """
    latency_ms = round(result.seconds * 1000, 2)
    Prediction.objects.bulk_create(
        Prediction(
            deployment_id=result.deployment_id,
            version_id=result.version_id,
            subject_type=item["subject_type"],
            subject_id=item["subject_id"],
            label=prediction.label,
            probabilities=[prediction.probabilities[label] for label in result.labels],
            latency_ms=latency_ms,
            shadow=True,
            compared={key: item[key] for key in ("text", "version", "label", "probability")},
        )
        for item, prediction in zip(asked, result.predictions, strict=True)
    )
    tally = Tally()
    for item, prediction in zip(asked, result.predictions, strict=True):
        tally.add(
            label=prediction.label,
            confidence=prediction.probabilities[prediction.label],
            milliseconds=latency_ms,
            length=len(item["text"]),
            agreed=prediction.label == item["label"],
        )
    traffic_add(
        deployment_id=result.deployment_id, tallies={(result.version_id, Role.SHADOW): tally}
    )
