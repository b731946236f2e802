"""Starting, stopping and moving jobs. Every change is an event on the stream `jobs`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models.functions import Now
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext_noop

from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job, JobLine
from rootstock.jobs.selectors import job_summary
from rootstock.outbox.services import outbox_write
from rootstock.realtime.services import event_append

TOPIC = "jobs.run"
STREAM = "jobs"
# A job whose worker dies so often kills its workers.
MAX_ATTEMPTS = 5


def lease() -> timedelta:
    """How long a worker that says nothing keeps a job."""
    return timedelta(seconds=settings.ROOTSTOCK_LEASE_SECONDS)


def job_create(
    kind: str,
    *,
    title: str,
    params: Mapping[str, Any],
    actor: Actor,
    queue: str = "default",
) -> Job:
    """Write the job and the message that starts it, in the transaction of the caller.

    `kind` names the function registered with `@job_kind`. It starts once the transaction is committed.
    """
    job = Job(
        kind=kind,
        title=title[:200],
        params=dict(params),
        queue=queue,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:200],
    )
    job.save(force_insert=True)
    outbox_write(TOPIC, {"job_id": str(job.pk)}, queue=queue)
    announce(job)
    return job


def job_cancel(job_id: uuid.UUID | str) -> Job:
    """Ask a job to stop. One that waits is cancelled at once, one that runs at its next report of progress.

    Raises:
        Http404: there is no such job.
        Problem: 409, it has finished already.
    """
    job = Job.objects.select_for_update().filter(pk=job_id).first()
    if job is None:
        raise Http404("no such job")
    if job.finished:
        raise Problem(409, "job-finished", f"The job has finished already: {job.state}.")
    if job.cancel_requested_at is None:
        job.cancel_requested_at = timezone.now()
    if job.state == Job.State.QUEUED:
        job.state = Job.State.CANCELLED
        job.finished_at = timezone.now()
    job.save()
    announce(job)
    return job


def job_claim(job_id: uuid.UUID | str) -> Job | None:
    """Take a queued job for this worker; None when it was cancelled or taken meanwhile."""
    job = Job.objects.select_for_update().filter(pk=job_id, state=Job.State.QUEUED).first()
    if job is None:
        return None
    now = timezone.now()
    job.state = Job.State.RUNNING
    job.attempt += 1
    job.started_at = job.started_at or now
    job.attempt_started_at = now
    job.attempt_fraction = job.fraction
    job.lease_token = uuid7()
    job.leased_until = now + lease()
    job.save()
    announce(job)
    return job


def job_heartbeat(job: Job) -> bool | None:
    """Renew the lease. Whether cancelling was asked for, or None when the job is no longer this worker's."""
    mine = Job.objects.filter(pk=job.pk, lease_token=job.lease_token)
    if not mine.update(leased_until=Now() + lease()):
        return None
    return mine.filter(cancel_requested_at__isnull=False).exists()


def job_progress(
    job: Job, *, fraction: float | None, phase: str | None, message: str | None
) -> bool:
    """Store progress and announce it; False when the job is no longer this worker's."""
    fresh = _mine(job)
    if fresh is None:
        return False
    if fraction is not None:
        fresh.fraction = min(1.0, max(0.0, fraction))
    if phase is not None:
        fresh.phase = phase[:80]
    if message is not None:
        fresh.message = message[:500]
    fresh.leased_until = timezone.now() + lease()
    fresh.save(update_fields=["fraction", "phase", "message", "leased_until", "updated_at"])
    announce(fresh, "job.progress")
    return True


def job_log(job: Job, text: str) -> None:
    """Add lines to the job's log."""
    JobLine.objects.bulk_create(
        JobLine(job=job, text=line[:2000]) for line in text.replace("\x00", "").splitlines() or [""]
    )


def job_finish(
    job: Job, state: str, *, result: Mapping[str, Any] | None = None, error: str = ""
) -> bool:
    """End a job; False when it is no longer this worker's."""
    fresh = _mine(job)
    if fresh is None:
        return False
    _end(fresh, state, result=result, error=error)
    return True


def job_requeue(job: Job, *, reason: str) -> None:
    """Give a running job back to the queue, where another worker takes it up again."""
    job_log(job, reason)
    job.state = Job.State.QUEUED
    job.lease_token = None
    job.leased_until = None
    job.save()
    outbox_write(TOPIC, {"job_id": str(job.pk)}, queue=job.queue)
    announce(job)


def job_recover(job_id: uuid.UUID, *, resumable: bool) -> bool:
    """Take a running job away from a worker that has fallen silent; False when it has spoken meanwhile."""
    job = (
        Job.objects.select_for_update(skip_locked=True)
        .filter(pk=job_id, state=Job.State.RUNNING, leased_until__lt=Now())
        .first()
    )
    if job is None:
        return False
    if job.cancel_requested_at is not None:
        _end(job, Job.State.CANCELLED)
    elif not resumable:
        _end(
            job,
            Job.State.FAILED,
            error=gettext_noop("Its worker ended before the job was done. Start it again."),
        )
    elif job.attempt >= MAX_ATTEMPTS:
        _end(
            job,
            Job.State.FAILED,
            error=gettext_noop("Its worker ended each time it was tried: see the job's log."),
        )
    else:
        job_requeue(job, reason=f"attempt {job.attempt}: the worker fell silent; queued again")
    return True


def job_fail_unstarted(job_id: uuid.UUID | str, error: str) -> None:
    """A queued job whose message became a dead letter will never start."""
    job = Job.objects.select_for_update().filter(pk=job_id, state=Job.State.QUEUED).first()
    if job is not None:
        _end(job, Job.State.FAILED, error=error)


def announce(job: Job, type: str | None = None) -> None:
    """Append the job as it is now to the stream; last in the transaction."""
    event_append(STREAM, type or f"job.{job.state}", job_summary(job))


def _mine(job: Job) -> Job | None:
    return Job.objects.select_for_update().filter(pk=job.pk, lease_token=job.lease_token).first()


def _end(job: Job, state: str, *, result: Mapping[str, Any] | None = None, error: str = "") -> None:
    job.state = state
    job.result = None if result is None else dict(result)
    job.error = error[:4000].replace("\x00", "")
    job.finished_at = timezone.now()
    job.lease_token = None
    job.leased_until = None
    if state == Job.State.SUCCEEDED:
        job.fraction = 1.0
    job.save()
    announce(job)
