"""Running a job: its context, its heartbeat, its end."""

from __future__ import annotations

import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connections
from django.db.utils import Error as DatabaseError

from rootstock.jobs import services
from rootstock.jobs.models import Job
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
PROGRESS_SECONDS = 0.5

Run = TypeVar("Run", bound=Callable[["JobContext"], "dict[str, Any] | None"])


class JobCancelled(Exception):
    """Somebody asked for the job to stop. Let it pass through, after tidying up."""


class JobTakenOver(Exception):
    """The job is another worker's by now: stop, whatever is still written does not count."""


class WorkerStopping(Exception):
    """The worker is being shut down: a resumable job goes back to the queue."""


@dataclass(frozen=True)
class Kind:
    """A registered kind of job."""

    name: str
    run: Callable[[JobContext], dict[str, Any] | None]
    resumable: bool


_kinds: dict[str, Kind] = {}
stopping = threading.Event()


def job_kind(name: str, *, resumable: bool = False) -> Callable[[Run], Run]:
    """Register the decorated function as the work of a kind of job; it belongs into `<app>/tasks.py`.

    It is called with a `JobContext` outside any transaction, and what it returns (a JSON object) is the job's
    result. An exception fails the job, with its message as the error. `resumable`: when its worker dies the
    function is called again with the same params and `context.attempt` counted up, and it picks up from what it
    has stored itself.
    """

    def register(function: Run) -> Run:
        if name in _kinds:
            raise ValueError(f"the kind of job {name} is registered twice")
        _kinds[name] = Kind(name, function, resumable)
        return function

    return register


def kind_get(name: str) -> Kind | None:
    """The kind, or None when nothing of this name is registered."""
    return _kinds.get(name)


class JobContext:
    """What a running job knows and says."""

    def __init__(self, job: Job, *, resumable: bool) -> None:
        self._job = job
        self._resumable = resumable
        self._cancel = threading.Event()
        self._lost = threading.Event()
        self._reported_at = 0.0
        self._phase = job.phase
        self.job_id: uuid.UUID = job.pk
        self.organisation_id: uuid.UUID = _organisation(job)
        self.params: dict[str, Any] = job.params
        self.attempt: int = job.attempt

    def scope(self) -> AbstractContextManager[uuid.UUID]:
        """A short transaction in the job's organisation."""
        return organisation_scope(self.organisation_id)

    def should_stop(self) -> bool:
        """Whether to stop soon; costs nothing, so ask it in inner loops. `check()` raises the reason."""
        return (
            self._cancel.is_set() or self._lost.is_set() or (self._resumable and stopping.is_set())
        )

    def check(self) -> None:
        """Return if the job shall go on.

        Raises:
            JobCancelled: somebody asked for it to stop.
            JobTakenOver: another worker has it.
            WorkerStopping: the worker is shutting down and the job can be resumed elsewhere.
        """
        if self._lost.is_set():
            raise JobTakenOver
        if self._cancel.is_set():
            raise JobCancelled
        if self._resumable and stopping.is_set():
            raise WorkerStopping

    def progress(
        self, fraction: float | None = None, phase: str | None = None, message: str | None = None
    ) -> None:
        """Say how far the job is (`fraction` from 0 to 1). Written at most every half second, and on each new phase.

        Call it outside of `scope()`. Raises what `check()` raises.
        """
        self.check()
        now = time.monotonic()
        if now - self._reported_at < PROGRESS_SECONDS and phase in (None, self._phase):
            return
        self._reported_at = now
        self._phase = phase or self._phase
        with self.scope():
            mine = services.job_progress(self._job, fraction=fraction, phase=phase, message=message)
        if not mine:
            self._lost.set()
        self.check()

    def log(self, text: str) -> None:
        """Add to the job's log."""
        with self.scope():
            services.job_log(self._job, text)

    def beat(self) -> None:
        """Renew the lease and hear whether to stop; the heartbeat thread calls it."""
        with self.scope():
            cancel = services.job_heartbeat(self._job)
        if cancel is None:
            self._lost.set()
        elif cancel:
            self._cancel.set()


class _Heartbeat:
    """Calls `context.beat` every two seconds beside the work."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(HEARTBEAT_SECONDS):
                try:
                    self._context.beat()
                except DatabaseError:
                    logger.warning("no heartbeat of job %s", self._context.job_id, exc_info=True)
        finally:
            connections.close_all()


def execute(job: Job) -> None:
    """Run a job that this worker has claimed, to its end; failures are recorded on the job."""
    kind = kind_get(job.kind)
    if kind is None:
        _finish(job, Job.State.FAILED, error=f"Nothing runs jobs of the kind {job.kind!r}.")
        return
    context = JobContext(job, resumable=kind.resumable)
    try:
        with _Heartbeat(context):
            result = kind.run(context)
    except JobCancelled:
        _finish(job, Job.State.CANCELLED)
    except JobTakenOver:
        logger.warning("job %s was taken over by another worker", job.pk)
    except WorkerStopping:
        _give_back(job)
    except Exception as error:
        logger.exception("job %s (%s) failed", job.pk, job.kind)
        context.log(traceback.format_exc())
        _finish(job, Job.State.FAILED, error=str(error) or type(error).__name__)
    else:
        _finish(job, Job.State.SUCCEEDED, result=result or {})


def _finish(job: Job, state: str, *, result: dict[str, Any] | None = None, error: str = "") -> None:
    with organisation_scope(_organisation(job)):
        if not services.job_finish(job, state, result=result, error=error):
            logger.warning("job %s ended as %s here, but is another worker's", job.pk, state)


def _organisation(job: Job) -> uuid.UUID:
    return uuid.UUID(str(job.organisation_id))


def _give_back(job: Job) -> None:
    with organisation_scope(_organisation(job)):
        mine = (
            Job.objects.select_for_update().filter(pk=job.pk, lease_token=job.lease_token).first()
        )
        if mine is not None:
            services.job_requeue(mine, reason="the worker is shutting down; queued again")
