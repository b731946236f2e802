"""Workers are killed, Redis is wiped and restarted: nothing is lost and nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from rootstock.common.actors import SYSTEM
from rootstock.jobs import tasks as jobs_tasks
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_create
from rootstock.outbox import dispatch, services
from rootstock.outbox.models import OutboxMessage
from rootstock.outbox.services import outbox_write
from rootstock.realtime.models import Stream
from rootstock.tenancy.scope import organisation_scope

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE))
import chaos_handlers  # noqa: E402, F401  (registers the topics here, too)

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(240)]
PATIENCE = 150.0


class Worker:
    """A real Celery worker process of this test's servers."""

    def __init__(self, log: Path) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform"), str(HERE)]),
            "ROOTSTOCK_LEASE_SECONDS": "3",
        }
        self.log = log
        self.environment = environment
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "rootstock.config.celery", "worker",
                 "--pool", "threads", "--concurrency", "4", "--queues", "default,ingest",
                 "--include", "chaos_handlers", "--without-gossip", "--without-mingle",
                 "--loglevel", "WARNING"],
                env=self.environment, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
            )  # fmt: skip

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


@pytest.fixture
def start(tmp_path: Path, live_db: None) -> Iterator[Callable[[], Worker]]:
    """Starts workers; none outlives the test."""
    workers: list[Worker] = []
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    client.close()

    def run() -> Worker:
        workers.append(Worker(tmp_path / "worker.log"))
        return workers[-1]

    yield run
    for worker in workers:
        worker.stop()


def write(organisation: Any, total: int) -> None:
    """Messages of both sorts, ten a transaction, each with a count of its effects."""
    for first in range(0, total, 10):
        with organisation_scope(organisation.pk):
            names = [f"m{number}" for number in range(first, first + 10)]
            Stream.objects.bulk_create(Stream(name=name) for name in names)
            for number, name in enumerate(names):
                outbox_write("chaos.prepared" if number % 3 == 0 else "chaos.plain", {"name": name})


def effects(organisation: Any) -> dict[int, int]:
    """How many messages have had how many effects."""
    with organisation_scope(organisation.pk):
        counts = Stream.objects.filter(name__startswith="m").values_list("sequence", flat=True)
        found: dict[int, int] = {}
        for count in counts:
            found[count] = found.get(count, 0) + 1
        return found


def sweep_until(what: Callable[[], bool], worker: Worker) -> None:
    """Play beat until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        if worker.process.poll() is not None:
            # Celery may end when its broker goes away under it; the supervisor then starts it again.
            worker.start()
        if time.monotonic() > deadline:
            pytest.fail(worker.log.read_text()[-4000:] or "not done in time")
        dispatch.sweep()
        jobs_tasks.sweep()
        time.sleep(0.5)


def left(organisation: Any) -> int:
    with organisation_scope(organisation.pk):
        return OutboxMessage.objects.count()


def test_workers_are_killed_while_200_messages_run(organisation, start) -> None:
    write(organisation, 200)
    for goal in (20, 60, 110):
        worker = start()
        sweep_until(lambda goal=goal: effects(organisation).get(1, 0) >= goal, worker)
        worker.kill()
    worker = start()
    sweep_until(lambda: left(organisation) == 0, worker)
    assert effects(organisation) == {1: 200}


def test_hints_that_were_never_sent_are_made_up_for(organisation, start, monkeypatch) -> None:
    """The web process died between COMMIT and publish, a hundred times."""
    monkeypatch.setattr(services, "publish", lambda *_: True)
    write(organisation, 100)
    worker = start()
    sweep_until(lambda: left(organisation) == 0, worker)
    assert effects(organisation) == {1: 100}


def test_redis_is_wiped_twice_and_restarted_meanwhile(organisation, start) -> None:
    from rootstock.config.embedded import start_redis
    from rootstock.config.settings import test as test_settings

    running = getattr(test_settings, "services", None)
    worker = start()
    write(organisation, 120)
    sweep_until(lambda: effects(organisation).get(1, 0) >= 10, worker)
    client = redis.Redis.from_url(settings.REDIS_URL)
    for goal in (30, 60):
        client.flushall()
        write_more(organisation, goal)
        sweep_until(lambda goal=goal: effects(organisation).get(1, 0) >= goal, worker)
    client.close()
    if running is not None and running.redis is not None:
        directory = running.redis.directory
        running.redis.stop()
        write_more(organisation, 90)  # no broker: the request must not fail
        object.__setattr__(running, "redis", start_redis(directory))
    sweep_until(lambda: left(organisation) == 0, worker)
    assert set(effects(organisation)) == {1}


def write_more(organisation: Any, seed: int) -> None:
    with organisation_scope(organisation.pk):
        for number in range(5):
            name = f"m-{seed}-{number}"
            Stream.objects.create(name=name)
            outbox_write("chaos.plain", {"name": name})


def test_job_of_a_killed_worker_goes_on_where_it_was(organisation, start) -> None:
    with organisation_scope(organisation.pk):
        job = job_create("chaos.count", title="Count", params={}, actor=SYSTEM)

    def state() -> Job:
        with organisation_scope(organisation.pk):
            return Job.objects.get(pk=job.pk)

    worker = start()
    sweep_until(lambda: state().fraction > 0.2, worker)
    worker.kill()
    second = start()
    sweep_until(lambda: state().finished, second)
    done = state()
    assert (done.state, done.result) == ("succeeded", {"steps": 30, "attempt": 2})
