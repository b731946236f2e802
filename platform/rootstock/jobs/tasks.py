"""What workers and beat run of the jobs."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from rootstock.jobs import runner, services
from rootstock.jobs.models import Job
from rootstock.outbox.handlers import Payload, handler
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


def _execute(payload: Payload, job: Job | None) -> None:
    if job is not None:
        runner.execute(job)


# Claiming the job and ending the message are one commit; from then on the job's own lease and `sweep` look after it.
@handler(services.TOPIC, after=_execute)
def start(payload: Payload) -> Job | None:
    """Claim the job; it runs after the commit."""
    return services.job_claim(payload["job_id"])


@shared_task(name="rootstock.jobs.sweep", acks_late=False)
def sweep() -> None:
    """Take jobs away from workers that have fallen silent."""
    for row in call_lookup("jobs_expired"):
        kind = runner.kind_get(row["kind"])
        with organisation_scope(row["organisation_id"]):
            services.job_recover(row["id"], resumable=kind is not None and kind.resumable)


@worker_shutting_down.connect
def stop(**_: Any) -> None:
    """Resumable jobs stop at their next check and go back to the queue."""
    runner.stopping.set()
