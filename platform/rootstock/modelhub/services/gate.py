"""The gate's reports and policies, and the measurements it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from rootstock.common.actors import Actor
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_create
from rootstock.modelhub import gate
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import (
    AnswerSheet,
    Deployment,
    Evaluation,
    GatePolicy,
    GateReport,
    ModelVersion,
    Snapshot,
    Split,
)
from rootstock.modelhub.selectors import gate_job, version_ancestors
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.names import check_model_name

GATE_JOB = "modelhub.gate"
EVALUATE_JOB = "modelhub.evaluate"
# Measuring needs as much of a machine as training does, and takes turns with it.
QUEUE = "training"


def gate_start(*, version: ModelVersion, deployment: str, actor: Actor) -> Job:
    """Start the job that measures what is missing and asks all checks about `version` for `deployment`.

    Raises:
        Conflict: one is under way for the same version and deployment.
        ModelhubError: the name has another form.
    """
    name = check_model_name(deployment, place="deployment")
    lock_name("gate", f"{version.pk}:{name}")
    if gate_job(version, name) is not None:
        raise Conflict("gate-running", _("The checks of this version are being made already."))
    job = job_create(
        kind=GATE_JOB,
        title=_("Check %(version)s for %(deployment)s")
        % {"version": version.label, "deployment": name},
        params={"version": str(version.pk), "deployment": name},
        actor=actor,
        queue=QUEUE,
    )
    record(
        actor=actor,
        action="models.gate.start",
        target=version.label,
        target_id=version.pk,
        changes={"deployment": name},
        event={"label": version.label, "deployment": name, "job": str(job.pk)},
    )
    return job


def gate_now(*, version: ModelVersion, deployment: str, actor: Actor) -> GateReport:
    """Ask all checks here and now, from the figures that are stored; what is not stored is “not measured”."""
    candidate, policy = gate_candidate(version=version, deployment=deployment)
    figures = figures_stored(gate.gate_needs(candidate, policy))
    verdicts = gate.judge(candidate, policy, figures)
    return gate_store(candidate=candidate, policy=policy, verdicts=verdicts, actor=actor)


def gate_candidate(*, version: ModelVersion, deployment: str) -> tuple[gate.Candidate, gate.Policy]:
    """The version with all that checks look at, and the policy of the deployment."""
    version = ModelVersion.objects.select_related("snapshot__dataset", "parent").get(pk=version.pk)
    slot = (
        Deployment.objects.select_related("version__snapshot__dataset")
        .filter(name=deployment)
        .first()
    )
    candidate = gate.Candidate(version, deployment, slot, version_ancestors(version))
    return candidate, gate_policy(deployment)


def gate_policy(deployment: str) -> gate.Policy:
    """The policy in force for a deployment, with every default filled in."""
    stored = GatePolicy.objects.filter(deployment=deployment).first()
    return gate.effective_policy(stored.checks if stored else None)


def gate_policy_update(*, deployment: str, checks: Mapping[str, Any], actor: Actor) -> GatePolicy:
    """Set which checks a deployment asks for and their limits; what is left out gets its default.

    Raises:
        ModelhubError: that names the check and the limit.
    """
    name = check_model_name(deployment, place="deployment")
    kept = gate.policy_check(checks)
    lock_name("gate-policy", name)
    row = GatePolicy.objects.filter(deployment=name).first() or GatePolicy(deployment=name)
    before, row.checks = row.checks, kept
    row.save()
    if kept != before:
        record(
            actor=actor,
            action="models.gate-policy.update",
            target=name,
            target_id=row.pk,
            changes={"checks": [before, kept]},
            event={"deployment": name},
        )
    return row


def gate_store(
    *,
    candidate: gate.Candidate,
    policy: gate.Policy,
    verdicts: Sequence[gate.Verdict],
    actor: Actor,
) -> GateReport:
    """Keep what the checks found."""
    failed = [verdict for verdict in verdicts if not verdict.passed]
    report = GateReport.objects.create(
        version=candidate.version,
        deployment=candidate.name,
        current=candidate.deployment.version if candidate.deployment else None,
        policy=policy,
        verdicts=[verdict.to_dict() for verdict in verdicts],
        passed=not failed,
        can_be_forced=all(verdict.can_be_forced for verdict in failed),
        **authored(actor),
    )
    record(
        actor=actor,
        action="models.gate.report",
        target=candidate.version.label,
        target_id=report.pk,
        changes={
            "deployment": candidate.name,
            "passed": report.passed,
            "failed": [verdict.check for verdict in failed],
        },
        event={
            "version": str(candidate.version.pk),
            "deployment": candidate.name,
            "passed": report.passed,
        },
    )
    return report


def figures_stored(needs: Sequence[gate.Need]) -> gate.Figures:
    """The reports that are stored, of those that are needed."""
    figures = gate.Figures()
    measured = {
        (row.version_id, row.snapshot_id, row.split): row.report
        for row in Evaluation.objects.filter(
            version__in={need.version.pk for need in needs},
            snapshot__in={need.snapshot.pk for need in needs},
        )
    }
    for need in needs:
        own = need.version.snapshot_id == need.snapshot.pk and need.version.metrics.get(need.split)
        report = own or measured.get(need.key)
        if report:
            figures.reports[need.key] = report
    kept = AnswerSheet.objects.filter(
        version__in={need.version.pk for need in needs},
        snapshot__in={need.snapshot.pk for need in needs},
    )
    figures.sheets = {(each.version_id, each.snapshot_id, each.split): each for each in kept}
    return figures


def evaluation_start(*, version: ModelVersion, snapshot: Snapshot, split: str, actor: Actor) -> Job:
    """Start the job that measures a version on one part of a snapshot; a stored report is measured anew.

    Raises:
        ModelhubError: the part has no examples, or the snapshot is for another task.
    """
    problem, place = "", ""
    if snapshot.dataset.task != version.task:
        problem, place = _("The snapshot is for another task than the version."), "snapshot"
    elif split not in Split.values or not (
        snapshot.split_counts.get(split) or snapshot.label_counts.get(split)
    ):
        problem, place = _("The snapshot has no examples in this part."), "split"
    if problem:
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}]
        )
    job = job_create(
        kind=EVALUATE_JOB,
        title=_("Measure %(version)s on %(snapshot)s")
        % {"version": version.label, "snapshot": snapshot},
        params={"version": str(version.pk), "snapshot": str(snapshot.pk), "split": split},
        actor=actor,
        queue=QUEUE,
    )
    record(
        actor=actor,
        action="models.evaluation.start",
        target=version.label,
        target_id=version.pk,
        changes={"snapshot": snapshot.content_hash, "split": split},
        event={"label": version.label, "job": str(job.pk)},
    )
    return job


def evaluation_store(*, need: gate.Need, report: Mapping[str, Any], seconds: float) -> Evaluation:
    """Keep a report of a version on one part of a snapshot in place of an earlier one."""
    row, _made = Evaluation.objects.update_or_create(
        version=need.version,
        snapshot=need.snapshot,
        split=need.split,
        defaults={"report": dict(report), "seconds": round(seconds, 3)},
    )
    return row
