"""Reading jobs."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import Http404

from rootstock.jobs.models import Job, JobLine


def job_get(job_id: uuid.UUID | str) -> Job:
    """One job of the current organisation.

    Raises:
        Http404: there is none.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise Http404("no such job")
    return job


def job_list(*, state: str | None = None, kind: str | None = None) -> QuerySet[Job]:
    """Jobs, newest first. `state` may be "active": queued or running."""
    jobs = Job.objects.order_by("-id")
    if state == "active":
        jobs = jobs.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING])
    elif state:
        jobs = jobs.filter(state=state)
    return jobs.filter(kind=kind) if kind else jobs


def job_lines(job: Job) -> QuerySet[JobLine]:
    """The log of a job in order."""
    return job.lines.order_by("id")


def job_summary(job: Job) -> dict[str, Any]:
    """A job as REST and the stream `jobs` show it."""
    eta = job.eta
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "title": job.title,
        "state": job.state,
        "fraction": round(job.fraction, 4),
        "phase": job.phase,
        "message": job.message,
        "eta_seconds": None if eta is None else round(eta.total_seconds(), 1),
        "error": job.error,
        "result": job.result,
        "attempt": job.attempt,
        "cancel_requested": job.cancel_requested_at is not None,
        "actor": job.actor_label,
        "created_at": job.created_at.isoformat(),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
    }
