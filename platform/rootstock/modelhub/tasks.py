"""What workers do for the model hub."""

from __future__ import annotations

import uuid
from typing import Any

from rootstock.jobs.runner import JobCancelled, JobContext, job_kind
from rootstock.modelhub.runs import execute_run
from rootstock.modelhub.services.training import JOB_KIND


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
