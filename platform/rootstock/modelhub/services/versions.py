"""Model versions and deployments: register, promote, roll back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext as _

from ml_core.registry import Artifact, ArtifactError
from rootstock.common.actors import Actor
from rootstock.modelhub.checks import Candidate, Verdict, run_checks
from rootstock.modelhub.errors import Conflict, ModelhubError, PromotionRefused
from rootstock.modelhub.models import (
    Deployment,
    DeploymentChange,
    ModelVersion,
    Snapshot,
    TrainingRun,
)
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.storage import absolute_path

_NAME = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*")


def check_model_name(name: str, *, place: str = "name") -> str:
    """The name of a version series or deployment: "finance.sentiment".

    Raises:
        ModelhubError: another form.
    """
    if len(name) > 120 or not _NAME.fullmatch(name):
        problem = _(
            "Use small letters, digits, hyphens and dots, beginning with a letter, like “finance.sentiment”."
        )
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}]
        )
    return name


def version_register(
    *,
    name: str,
    artifact_path: str,
    actor: Actor,
    snapshot: Snapshot | None = None,
    run: TrainingRun | None = None,
    parent: ModelVersion | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Register an artefact (path relative to ROOTSTOCK_ARTIFACTS) as the next version of `name`.

    `metrics` are reports by part ("validation", "test"); without them the manifest's validation figures are taken.

    Raises:
        ModelhubError: the artefact is missing or damaged.
    """
    check_model_name(name)
    try:
        artifact = Artifact.open(absolute_path(artifact_path))
    except (ArtifactError, ValueError) as error:
        raise ModelhubError("artifact-unusable", str(error)) from error
    manifest = artifact.manifest
    lock_name("version", name)
    last = ModelVersion.objects.filter(name=name).aggregate(last=Max("number"))["last"] or 0
    version = ModelVersion.objects.create(
        name=name,
        number=last + 1,
        task=manifest.task,
        labels=list(manifest.labels),
        languages=list(manifest.languages),
        base=manifest.base[:200],
        artifact_path=artifact_path,
        digest=artifact.digest,
        size_bytes=artifact.size_bytes,
        metrics=dict(metrics) if metrics is not None else {"validation": manifest.metrics},
        card=artifact.card,
        code=manifest.libraries,
        parent=parent,
        snapshot=snapshot,
        run=run,
        **authored(actor),
    )
    record(
        actor=actor,
        action="models.version.register",
        target=version.label,
        target_id=version.pk,
        changes={"digest": version.digest},
        event={"label": version.label, "run": str(run.pk) if run else None},
    )
    return version


def promotion_checks(*, version: ModelVersion, deployment_name: str) -> list[Verdict]:
    """What the checks say about a promotion, without promoting."""
    deployment = Deployment.objects.select_related("version").filter(name=deployment_name).first()
    return run_checks(Candidate(version, deployment))


def version_promote(
    *,
    version: ModelVersion,
    actor: Actor,
    deployment: str | None = None,
    reason: str = "",
    force: bool = False,
) -> Deployment:
    """Let `version` answer for `deployment` (default: the name of its series), which is made if it is new.

    With `force` and a reason, checks that can be forced are overruled; the history says so.

    Raises:
        PromotionRefused: a check failed; the error carries the evidence.
        Conflict: it is the deployed version already.
        ModelhubError: `force` without a reason.
    """
    name = check_model_name(deployment or version.name, place="deployment")
    reason = reason.strip()
    if force and not reason:
        problem = _("Overruling a check needs a reason.")
        raise ModelhubError(
            "reason-missing", problem, errors=[{"pointer": "/reason", "detail": problem}]
        )
    lock_name("deployment", name)
    slot = Deployment.objects.select_related("version").filter(name=name).first()
    if slot is not None and slot.version_id == version.pk:
        raise Conflict(
            "already-deployed",
            _("%(version)s is what %(deployment)s serves already.")
            % {"version": version.label, "deployment": name},
        )
    verdicts = run_checks(Candidate(version, slot))
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if [verdict for verdict in failed if not (force and verdict.can_be_forced)]:
        raise PromotionRefused(
            _("%(version)s was not promoted: %(details)s")
            % {
                "version": version.label,
                "details": " ".join(verdict.detail for verdict in failed),
            },
            [verdict.to_dict() for verdict in verdicts],
        )
    before = slot.version if slot else None
    if slot is None:
        slot = Deployment(name=name, task=version.task)
    slot.version = version
    slot.save()
    _write_change(
        slot,
        DeploymentChange.Kind.PROMOTED,
        before=before,
        actor=actor,
        reason=reason,
        forced=bool(failed),
        checks=[verdict.to_dict() for verdict in verdicts],
    )
    return slot


def version_rollback(*, deployment: Deployment, actor: Actor, reason: str = "") -> Deployment:
    """Go back to the version that was deployed before the current one.

    A second roll-back goes one step further back, not forth again. Only the checks that protect serving are made: the
    files are whole and load.

    Raises:
        Conflict: there is no earlier version.
        PromotionRefused: the earlier version's files are damaged or do not load.
    """
    lock_name("deployment", deployment.name)
    slot = Deployment.objects.select_related("version").get(pk=deployment.pk)
    target = previous_version(slot)
    if target is None:
        raise Conflict(
            "nothing-to-roll-back-to",
            _("%(deployment)s has served no version before this one.") % {"deployment": slot.name},
        )
    verdicts = [
        verdict for verdict in run_checks(Candidate(target, slot)) if not verdict.can_be_forced
    ]
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed:
        raise PromotionRefused(
            _("Not rolled back to %(version)s: %(details)s")
            % {"version": target.label, "details": " ".join(v.detail for v in failed)},
            [verdict.to_dict() for verdict in verdicts],
        )
    before = slot.version
    slot.version = target
    slot.save()
    _write_change(
        slot,
        DeploymentChange.Kind.ROLLED_BACK,
        before=before,
        actor=actor,
        reason=reason.strip(),
        forced=False,
        checks=[verdict.to_dict() for verdict in verdicts],
    )
    return slot


def previous_version(deployment: Deployment) -> ModelVersion | None:
    """The version a roll-back would go to: replaying the history as a stack, the one below the top."""
    stack: list[ModelVersion] = []
    changes = (
        DeploymentChange.objects.filter(deployment=deployment)
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


def _write_change(
    deployment: Deployment,
    kind: DeploymentChange.Kind,
    *,
    before: ModelVersion | None,
    actor: Actor,
    reason: str,
    forced: bool,
    checks: list[dict[str, Any]],
) -> None:
    DeploymentChange.objects.create(
        deployment=deployment,
        kind=kind,
        from_version=before,
        to_version=deployment.version,
        reason=reason,
        forced=forced,
        checks=checks,
        **authored(actor),
    )
    verb = "promote" if kind == DeploymentChange.Kind.PROMOTED else "roll-back"
    record(
        actor=actor,
        action=f"models.deployment.{verb}",
        target=deployment.name,
        target_id=deployment.pk,
        changes={
            "version": [before.label if before else None, deployment.version.label],
            "reason": reason,
            "forced": forced,
        },
        event={"name": deployment.name, "version": deployment.version.label},
    )
