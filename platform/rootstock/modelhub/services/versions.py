"""Model versions and deployments: register, promote, roll back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext as _

from ml_core.registry import Artifact, ArtifactError
from rootstock.common.actors import Actor
from rootstock.modelhub import gate
from rootstock.modelhub.deployed import tell_deployed
from rootstock.modelhub.errors import Conflict, ModelhubError, PromotionRefused
from rootstock.modelhub.models import (
    Deployment,
    DeploymentChange,
    GateReport,
    ModelVersion,
    Snapshot,
    TrainingRun,
)
from rootstock.modelhub.selectors import gate_report_current
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.gate import gate_candidate, gate_now
from rootstock.modelhub.services.history import (
    canary_close,
    change_write,
    previous_version,
)
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.names import check_model_name
from rootstock.modelhub.services.shadows import shadow_close
from rootstock.modelhub.storage import StorageProblem, artifact_publish, local_artifact

__all__ = [
    "check_model_name",
    "gate_ensure",
    "previous_version",
    "promotion_checks",
    "version_promote",
    "version_register",
    "version_rollback",
]


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

    Where there is an artefact store, it is uploaded first.

    `metrics` are reports by part ("validation", "test"); without them the manifest's validation figures are taken.

    Raises:
        ModelhubError: the artefact is missing or damaged, or the store does not take it.
    """
    check_model_name(name)
    try:
        artifact = Artifact.open(local_artifact(artifact_path, ""))
        artifact_publish(artifact_path)
    except (ArtifactError, StorageProblem, ValueError) as error:
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


def promotion_checks(*, version: ModelVersion, deployment_name: str) -> list[dict[str, Any]]:
    """What the newest report of the gate that still holds says about a promotion; [] when there is none."""
    report = gate_report_current(version, deployment_name)
    return list(report.verdicts) if report else []


def gate_ensure(*, version: ModelVersion, deployment: str, actor: Actor) -> GateReport:
    """The report of the gate that holds for a promotion now; without one the checks are made from what is stored."""
    check_model_name(deployment, place="deployment")
    return gate_report_current(version, deployment) or gate_now(
        version=version, deployment=deployment, actor=actor
    )


def version_promote(
    *,
    version: ModelVersion,
    actor: Actor,
    deployment: str | None = None,
    reason: str = "",
    force: bool = False,
) -> Deployment:
    """Let `version` answer for `deployment` (default: the name of its series), which is made if it is new.

    The newest report of the gate decides, if it is about the version that is deployed now and the policy in force;
    without one the checks are made here, from the figures that are stored. The checks that protect serving are made
    again in any case. With `force` and a reason, what can be forced is overruled; the history says so. If the version
    was the deployment's shadow, it is that no longer. A canary ends.

    Raises:
        PromotionRefused: a check did not pass; the error carries the evidence.
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
    slot = (
        Deployment.objects.select_related("version", "shadow", "canary").filter(name=name).first()
    )
    if slot is not None and slot.version_id == version.pk:
        raise Conflict(
            "already-deployed",
            _("%(version)s is what %(deployment)s serves already.")
            % {"version": version.label, "deployment": name},
        )
    verdicts = _verdicts_now(version, name, actor)
    failed = [verdict for verdict in verdicts if not verdict["passed"]]
    if [verdict for verdict in failed if not (force and verdict["can_be_forced"])]:
        raise PromotionRefused(
            _("%(version)s was not promoted: %(details)s")
            % {
                "version": version.label,
                "details": " ".join(gate.detail_again(verdict) for verdict in failed),
            },
            verdicts,
        )
    before = slot.version if slot else None
    if slot is None:
        slot = Deployment(name=name, task=version.task)
    elif slot.shadow_id == version.pk:
        shadow_close(slot, actor=actor, reason=_("Promoted."))
    _end_canary(slot, version, actor)
    slot.version = version
    slot.save()
    change_write(
        slot,
        DeploymentChange.Kind.PROMOTED,
        to=version,
        before=before,
        actor=actor,
        reason=reason,
        forced=bool(failed),
        checks=verdicts,
    )
    tell_deployed(slot)
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
    slot = Deployment.objects.select_related("version", "shadow", "canary").get(pk=deployment.pk)
    target = previous_version(slot)
    if target is None:
        raise Conflict(
            "nothing-to-roll-back-to",
            _("%(deployment)s has served no version before this one.") % {"deployment": slot.name},
        )
    candidate, policy = gate_candidate(version=target, deployment=slot.name)
    verdicts = [
        verdict
        for verdict in gate.judge(candidate, policy, gate.Figures(), required_only=True)
        if verdict.passed or not verdict.can_be_forced
    ]
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed:
        raise PromotionRefused(
            _("Not rolled back to %(version)s: %(details)s")
            % {"version": target.label, "details": " ".join(v.detail for v in failed)},
            [verdict.to_dict() for verdict in verdicts],
        )
    before = slot.version
    if slot.shadow_id == target.pk:
        shadow_close(slot, actor=actor, reason=_("Serves again."))
    _end_canary(slot, target, actor)
    slot.version = target
    slot.save()
    change_write(
        slot,
        DeploymentChange.Kind.ROLLED_BACK,
        to=target,
        before=before,
        actor=actor,
        reason=reason.strip(),
        checks=[verdict.to_dict() for verdict in verdicts],
    )
    tell_deployed(slot)
    return slot


def _end_canary(slot: Deployment, version: ModelVersion, actor: Actor) -> None:
    """A canary was compared with the version before; with another one it would begin anew."""
    reason = _("Promoted.") if slot.canary_id == version.pk else _("Another version is deployed.")
    canary_close(slot, DeploymentChange.Kind.CANARY_ENDED, actor=actor, reason=reason)


def _verdicts_now(version: ModelVersion, name: str, actor: Actor) -> list[dict[str, Any]]:
    """The verdicts that count: of the report that holds, with the checks that protect serving made again."""
    report = gate_report_current(version, name)
    if report is None:
        return list(gate_now(version=version, deployment=name, actor=actor).verdicts)
    candidate, policy = gate_candidate(version=version, deployment=name)
    again = {
        verdict.check: verdict.to_dict()
        for verdict in gate.judge(candidate, policy, gate.Figures(), required_only=True)
    }
    return [again.get(verdict["check"], verdict) for verdict in report.verdicts]
