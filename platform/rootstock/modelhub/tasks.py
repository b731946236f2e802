"""What workers do for the model hub."""

from __future__ import annotations

import uuid
from typing import Any

from celery import shared_task

from rootstock.common.actors import Actor
from rootstock.jobs.models import Job
from rootstock.jobs.runner import JobCancelled, JobContext, job_kind
from rootstock.modelhub.compressing import COMPRESS_JOB, execute_compression
from rootstock.modelhub.drifting import drift_judge
from rootstock.modelhub.evaluations import OnProgress, execute_evaluation, execute_gate
from rootstock.modelhub.importing import execute_import
from rootstock.modelhub.inference import DeploymentResult
from rootstock.modelhub.pairing import execute_comparison
from rootstock.modelhub.runs import execute_run
from rootstock.modelhub.selecting import SELECT_JOB, execute_selection
from rootstock.modelhub.services.comparisons import COMPARE_JOB
from rootstock.modelhub.services.drift import DriftDone
from rootstock.modelhub.services.gate import EVALUATE_JOB, GATE_JOB
from rootstock.modelhub.services.imports import JOB_KIND as IMPORT_JOB
from rootstock.modelhub.services.looks import MONITOR_TOPIC, monitoring_look
from rootstock.modelhub.services.predictions import SHADOW_TOPIC
from rootstock.modelhub.services.shadows import shadow_log
from rootstock.modelhub.services.training import JOB_KIND, SEARCH_KIND, TOGETHER_KIND
from rootstock.modelhub.shadowing import shadow_ask
from rootstock.modelhub.together import execute_together
from rootstock.outbox.handlers import handler
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


@job_kind(JOB_KIND, resumable=True)
def run_training(context: JobContext) -> dict[str, Any]:
    """Carry out the training run that the job names."""

    def progress(fraction: float, phase: str, message: str) -> None:
        context.progress(fraction=fraction, phase=phase, message=message)

    return execute_run(
        organisation_id=context.organisation_id,
        run_id=uuid.UUID(context.params["run"]),
        on_progress=progress,
        cancelled_by=(JobCancelled,),
    )


@job_kind(SEARCH_KIND, resumable=True)
def run_search(context: JobContext) -> dict[str, Any]:
    """Search for the options of the run that the job names."""
    return run_training(context)


@job_kind(TOGETHER_KIND, resumable=True)
def run_together(context: JobContext) -> dict[str, Any]:
    """Carry out the runs that train one encoder."""
    return execute_together(
        organisation_id=context.organisation_id,
        together=uuid.UUID(context.params["together"]),
        on_progress=_progress(context),
        cancelled_by=(JobCancelled,),
    )


@job_kind(SELECT_JOB, resumable=True)
def run_selection(context: JobContext) -> dict[str, Any]:
    """Find the texts that would teach the version of the job most."""
    return execute_selection(
        organisation_id=context.organisation_id,
        version_id=uuid.UUID(context.params["version"]),
        dataset_id=uuid.UUID(context.params["dataset"]),
        count=context.params["count"],
        strategy=context.params["strategy"],
        on_progress=_progress(context),
    )


@job_kind(COMPRESS_JOB, resumable=True)
def run_compression(context: JobContext) -> dict[str, Any]:
    """Make the smaller version that the job asks for."""
    with context.scope():
        job = Job.objects.get(pk=context.job_id)
    return execute_compression(
        organisation_id=context.organisation_id,
        job_id=context.job_id,
        params=context.params,
        actor=Actor(job.actor_kind, job.actor_id, job.actor_label),  # type: ignore[arg-type]
        on_progress=_progress(context),
    )


@job_kind(COMPARE_JOB, resumable=True)
def run_comparison(context: JobContext) -> dict[str, Any]:
    """Compare the two versions that the job names."""
    with context.scope():
        job = Job.objects.get(pk=context.job_id)
    return execute_comparison(
        organisation_id=context.organisation_id,
        first_id=uuid.UUID(context.params["first"]),
        second_id=uuid.UUID(context.params["second"]),
        snapshot_id=uuid.UUID(context.params["snapshot"]),
        split=context.params["split"],
        actor=Actor(job.actor_kind, job.actor_id, job.actor_label),  # type: ignore[arg-type]
        on_progress=_progress(context),
    )


@job_kind(GATE_JOB, resumable=True)
def run_gate(context: JobContext) -> dict[str, Any]:
    """Make the checks of the version that the job names."""
    with context.scope():
        job = Job.objects.get(pk=context.job_id)
    return execute_gate(
        organisation_id=context.organisation_id,
        version_id=uuid.UUID(context.params["version"]),
        deployment=context.params["deployment"],
        actor=Actor(job.actor_kind, job.actor_id, job.actor_label),  # type: ignore[arg-type]
        on_progress=_progress(context),
    )


@job_kind(EVALUATE_JOB, resumable=True)
def run_evaluation(context: JobContext) -> dict[str, Any]:
    """Measure the version that the job names."""
    return execute_evaluation(
        organisation_id=context.organisation_id,
        version_id=uuid.UUID(context.params["version"]),
        snapshot_id=uuid.UUID(context.params["snapshot"]),
        split=context.params["split"],
        on_progress=_progress(context),
    )


@handler(SHADOW_TOPIC, max_attempts=5, prepare=shadow_ask)
def log_shadow(payload: dict[str, Any], result: DeploymentResult | None) -> None:
    """Keep what the shadow said, if there is one still."""
    if result is not None:
        shadow_log(result=result, asked=payload["asked"])


@shared_task(name="rootstock.modelhub.monitor", ignore_result=True)
def monitor() -> None:
    """Request a look at every organisation whose deployments were asked, or have an alarm or a canary."""
    for row in call_lookup("modelhub_monitored_organisations"):
        with organisation_scope(row["organisation_id"]):
            outbox_write(MONITOR_TOPIC, {}, coalesce_key=MONITOR_TOPIC)


@handler(MONITOR_TOPIC, max_attempts=3, prepare=drift_judge)
def look(_payload: dict[str, Any], judged: list[DriftDone]) -> None:
    """Add up traffic, keep the verdicts on drift, guard canaries, open and close alarms."""
    monitoring_look(judged=judged)


def _progress(context: JobContext) -> OnProgress:
    def tell(fraction: float, phase: str, message: str) -> None:
        context.progress(fraction=fraction, phase=phase, message=message)

    return tell


@job_kind(IMPORT_JOB, resumable=True)
def run_import(context: JobContext) -> dict[str, Any]:
    """Read the file of the import that the job names, in chunks."""
    return execute_import(
        import_id=uuid.UUID(context.params["import"]),
        scope=context.scope,
        on_progress=context.progress,
    )
