"""The append-only history of a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rootstock.common.actors import Actor
from rootstock.modelhub.models import Deployment, DeploymentChange, ModelVersion
from rootstock.modelhub.services.events import authored, record

_VERBS = {
    DeploymentChange.Kind.PROMOTED: "promote",
    DeploymentChange.Kind.ROLLED_BACK: "roll-back",
    DeploymentChange.Kind.SHADOW_STARTED: "shadow-start",
    DeploymentChange.Kind.SHADOW_ENDED: "shadow-end",
    DeploymentChange.Kind.CANARY_STARTED: "canary-start",
    DeploymentChange.Kind.CANARY_ENDED: "canary-end",
    DeploymentChange.Kind.CANARY_ROLLED_BACK: "canary-roll-back",
}


def change_write(
    deployment: Deployment,
    kind: DeploymentChange.Kind,
    *,
    to: ModelVersion,
    before: ModelVersion | None,
    actor: Actor,
    reason: str,
    forced: bool = False,
    checks: Sequence[dict[str, Any]] = (),
) -> None:
    """Write one entry of the history, with its audit row and event."""
    DeploymentChange.objects.create(
        deployment=deployment,
        kind=kind,
        from_version=before,
        to_version=to,
        reason=reason,
        forced=forced,
        checks=list(checks),
        **authored(actor),
    )
    record(
        actor=actor,
        action=f"models.deployment.{_VERBS[kind]}",
        target=deployment.name,
        target_id=deployment.pk,
        changes={
            "version": [before.label if before else None, to.label],
            "reason": reason,
            "forced": forced,
        },
        event={"name": deployment.name, "version": to.label},
    )


def canary_close(
    slot: Deployment,
    kind: DeploymentChange.Kind,
    *,
    actor: Actor,
    reason: str,
    checks: Sequence[dict[str, Any]] = (),
) -> None:
    """Take the canary off a locked deployment and write that down; the caller saves the row."""
    canary = slot.canary
    if canary is None:
        return
    slot.canary, slot.canary_since = None, None
    change_write(
        slot, kind, to=canary, before=slot.version, actor=actor, reason=reason, checks=checks
    )


def previous_version(deployment: Deployment) -> ModelVersion | None:
    """The version a roll-back would go to: replaying the history as a stack, the one below the top."""
    stack: list[ModelVersion] = []
    kinds = (DeploymentChange.Kind.PROMOTED, DeploymentChange.Kind.ROLLED_BACK)
    changes = (
        DeploymentChange.objects.filter(deployment=deployment, kind__in=kinds)
        .select_related("to_version")
        .defer("to_version__card", "checks")
        .order_by("created_at", "id")
    )
    for change in changes:
        if change.kind == DeploymentChange.Kind.ROLLED_BACK and len(stack) > 1:
            stack.pop()
        else:
            stack.append(change.to_version)
    return stack[-2] if len(stack) > 1 else None
