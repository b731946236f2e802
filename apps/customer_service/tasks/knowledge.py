"""What workers do for the knowledge: read sources, and look what is due."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from apps.customer_service.services.answers_import import IMPORT_JOB, execute_answers_import
from apps.customer_service.services.evaluation import EVALUATE_JOB, execute_evaluation
from apps.customer_service.services.releases import versions_tidy
from apps.customer_service.services.sources import SYNC_JOB, sources_tick
from apps.customer_service.services.syncing import execute_sync
from rootstock.jobs.runner import JobContext, job_kind
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


@job_kind(SYNC_JOB, resumable=True)
def sync(context: JobContext) -> dict[str, Any]:
    """Visit the job's source and read its documents that wait."""
    return execute_sync(context)


@job_kind(EVALUATE_JOB, resumable=True)
def evaluate(context: JobContext) -> dict[str, Any]:
    """Ask the questions of the job's run of the draft."""
    return execute_evaluation(context)


@job_kind(IMPORT_JOB, resumable=True)
def answers_import(context: JobContext) -> dict[str, Any]:
    """Add the answers of the job's table to the draft."""
    return execute_answers_import(context)


@shared_task(name="rootstock.service.knowledge_tick", ignore_result=True)
def knowledge_tick() -> None:
    """Request what time alone makes due: visits, the end of what has expired."""
    for row in call_lookup("service_due_organisations"):
        with organisation_scope(row["organisation_id"]):
            sources_tick()


@shared_task(name="rootstock.service.knowledge_tidy", ignore_result=True)
def knowledge_tidy() -> None:
    """Delete versions of documents that nobody can go back to."""
    for row in call_lookup("service_due_organisations"):
        with organisation_scope(row["organisation_id"]):
            versions_tidy()
