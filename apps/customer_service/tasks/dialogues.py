"""What workers do with past dialogues: read files of them, and find pairs in them."""

from __future__ import annotations

from typing import Any

from apps.customer_service.services.learning.dialogue_jobs import IMPORT_JOB, execute_import
from apps.customer_service.services.learning.mining import MINE_JOB, execute_mining
from rootstock.jobs.runner import JobContext, job_kind


@job_kind(IMPORT_JOB, resumable=True)
def import_dialogues(context: JobContext) -> dict[str, Any]:
    """Read the job's file into conversations."""
    return execute_import(context)


@job_kind(MINE_JOB, resumable=True)
def mine(context: JobContext) -> dict[str, Any]:
    """Find pairs of question and answer in the dialogues; begun anew after a crash."""
    return execute_mining(context)
