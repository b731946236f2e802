"""In the middle of a surge the worker, Redis or the inference process is killed: the alert still fires, once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from apps.finance_sentiment.inference import deployed, surge_defaults
from apps.finance_sentiment.models import Alert, Document, Notification
from apps.finance_sentiment.services import scoring
from apps.finance_sentiment.services.alerting.chains import StepInput, chain_save
from apps.finance_sentiment.services.alerting.routes import route_save
from apps.finance_sentiment.services.detection import detection_run
from apps.finance_sentiment.services.intake import document_parse, documents_upsert
from apps.finance_sentiment.services.rules import rule_update, rules_get_or_create
from apps.finance_sentiment.tasks import tick
from rootstock.common.actors import SYSTEM
from rootstock.config.embedded import start_redis
from rootstock.outbox import dispatch
from rootstock.outbox.models import OutboxMessage
from rootstock.realtime.models import Event
from rootstock.tenancy.scope import organisation_scope

ROOT = Path(__file__).resolve().parents[3]
FAKES = ROOT / "tests" / "integration" / "finance_sentiment"
sys.path.insert(0, str(FAKES))
from finance_fakes import FakeModels  # noqa: E402

from tests.integration.finance_sentiment.test_surges import calm, storm  # noqa: E402

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(240)]
PATIENCE = 120.0
START = datetime(2026, 3, 4, 8, tzinfo=UTC)
SURGE_AT = START + timedelta(minutes=6)
LEASE = 3
# Says that it is asked, and takes its time: whoever is killed is killed while it thinks.
INFERENCE = """
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        open(sys.argv[2], "a").write("asked\\n")
        time.sleep(0.5)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


class World:
    """The processes of the test; each can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.asked = folder / "asked"
        self.log = folder / "worker.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.inference()
        self.worker()

    def inference(self) -> None:
        self.running["inference"] = subprocess.Popen(
            [sys.executable, "-c", INFERENCE, str(self.port), str(self.asked)]
        )

    def worker(self) -> None:
        paths = [ROOT, ROOT / "platform", FAKES, Path(__file__).parent]
        with self.log.open("ab") as output:
            self.running["worker"] = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "rootstock.config.celery", "worker",
                 "--pool", "threads", "--concurrency", "4", "--queues", "default,ingest",
                 "--include", "finance_remote_installed", "--without-gossip", "--without-mingle",
                 "--loglevel", "WARNING"],
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
                    "PYTHONPATH": os.pathsep.join(map(str, paths)),
                    "ROOTSTOCK_LEASE_SECONDS": str(LEASE),
                    "FAKE_INFERENCE": f"http://127.0.0.1:{self.port}/",
                },
                stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def was_asked(self) -> int:
        return len(self.asked.read_text().splitlines()) if self.asked.exists() else 0

    def stop(self) -> None:
        for name in list(self.running):
            self.kill(name)


def store(rows: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    parsed = [
        document_parse(
            {"source": "Wire", **row, "published_at": row["published_at"].isoformat()}, now=now
        )[0]
        for row in rows
    ]
    documents_upsert(documents=[one for one in parsed if one is not None])


@pytest.fixture
def watched(
    live_db: None, organisation: Any, make_user: Callable[..., Any], monkeypatch: Any
) -> Any:
    """An organisation with a calm past, a fast rule, and somebody who is told."""
    fake = FakeModels()
    manager = make_user(organisation, "manager")
    with monkeypatch.context() as patched, organisation_scope(organisation.pk):
        patched.setattr(scoring, "targets_resolve", fake.targets)
        patched.setattr(deployed, "classify", fake.classify)
        rule = rules_get_or_create()[0]
        values = {"key": "energy", "bucket_seconds": 5, **surge_defaults(5)}
        rule_update(rule=rule, actor=SYSTEM, values=values)
        steps = [StepInput("person", user_id=manager.pk)]
        chain = chain_save(chain=None, actor=SYSTEM, name="Desk", steps=steps)
        route_save(route=None, actor=SYSTEM, name="All", chain_id=chain.pk, group_wait_seconds=0)
        store(calm(START, 6))
        while (batch := scoring.batch_prepare(organisation_id=organisation.pk)).outcomes:
            scoring.batch_write(batch=batch)
        detection_run()
        OutboxMessage.objects.all().delete()
    return organisation


@pytest.fixture
def world(watched: Any, tmp_path: Path) -> Iterator[World]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    client.close()
    world = World(tmp_path)
    yield world
    world.stop()


@pytest.mark.parametrize("victim", ["worker", "redis", "inference"])
def test_the_alert_fires_once_whatever_is_killed(victim: str, watched: Any, world: World) -> None:
    deadline = time.monotonic() + PATIENCE

    def look(*, until: Callable[[], bool]) -> None:
        while not until():
            assert time.monotonic() < deadline, world.log.read_text()[-3000:]
            dispatch.sweep()
            tick()
            time.sleep(0.1)

    surge = storm(SURGE_AT, 40)
    with organisation_scope(watched.pk):
        store(surge[:40])
    look(until=lambda: world.was_asked() > 0)  # the first of the surge is with the models
    repair = down(victim, world)
    with organisation_scope(watched.pk):
        store(surge[40:])  # the sources do not wait, and are not refused
        assert not Alert.objects.exists() or victim == "redis"
    repair()

    def over() -> bool:
        with organisation_scope(watched.pk):
            waiting = Document.objects.filter(status="pending").exists()
            return not waiting and Notification.objects.filter(reason="firing").exists()

    look(until=over)
    for _ in range(2 * LEASE):  # whatever was done twice would show now
        dispatch.sweep()
        tick()
        time.sleep(0.5)
    with organisation_scope(watched.pk):
        alert = Alert.objects.get()
        opened = Event.objects.filter(stream="finance.alerts", type="alert.opened").count()
        told = Notification.objects.filter(reason="firing", medium="in_app").count()
    assert (alert.topic, alert.state, opened, told) == ("energy", "open", 1, 1)
    # On the clock of the events the outage did not happen.
    assert SURGE_AT < alert.opened_at < SURGE_AT + timedelta(seconds=40)


def down(victim: str, world: World) -> Callable[[], None]:
    """Kill it; what is returned starts it again."""
    if victim == "redis":
        from rootstock.config.settings import test as test_settings

        services = getattr(test_settings, "services", None)
        if services is None or services.redis is None:
            pytest.skip("Redis is not the test's own")
        directory = services.redis.directory
        services.redis.stop()
        return lambda: object.__setattr__(services, "redis", start_redis(directory))
    world.kill(victim)
    return world.worker if victim == "worker" else world.inference
