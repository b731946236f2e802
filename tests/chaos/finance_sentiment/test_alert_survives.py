"""Workers are killed while an alert is escalated: everybody is told, and nobody twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import override_settings

from apps.finance_sentiment.models import AlertEntry, AlertGroup, Notification
from apps.finance_sentiment.services.alerting.chains import StepInput, chain_save
from apps.finance_sentiment.services.alerting.channels import channel_create
from apps.finance_sentiment.services.alerting.routes import route_save
from rootstock.common.actors import SYSTEM
from rootstock.outbox import dispatch
from rootstock.realtime.models import Event
from rootstock.tenancy.scope import organisation_scope

ROOT = Path(__file__).resolve().parents[3]
STAGE = ROOT / "tests" / "integration" / "finance_sentiment"
sys.path.insert(0, str(STAGE))
from alert_stage import alert_make  # noqa: E402

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(240)]
PATIENCE = 150.0
CHANNELS = 3


class Receiver(BaseHTTPRequestHandler):
    """Takes messages and answers late, so that a worker can be killed while it waits for the answer."""

    ids: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.ids.append(self.headers["webhook-id"])  # type: ignore[attr-defined]
        time.sleep(0.8)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    server.ids = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def manager(organisation: Any, make_user: Callable[..., Any]) -> Any:
    return make_user(organisation, "manager")


@pytest.fixture
def start(tmp_path: Path, live_db: None) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts workers; none outlives the test."""
    running: list[subprocess.Popen[bytes]] = []

    def run() -> subprocess.Popen[bytes]:
        with (tmp_path / "worker.log").open("ab") as output:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "celery", "-A", "rootstock.config.celery", "worker",
                     "--pool", "threads", "--concurrency", "4", "--queues", "default",
                     "--without-gossip", "--without-mingle", "--loglevel", "WARNING"],
                    env={
                        **os.environ,
                        "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
                        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
                        "ROOTSTOCK_LEASE_SECONDS": "3",
                        "ROOTSTOCK_HTTP_ALLOW_PRIVATE": "127.0.0.1/32",
                    },
                    stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
                )
            )  # fmt: skip
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.wait()


def test_an_alert_tells_everybody_once_though_workers_die(
    organisation, manager, start, receiver, tmp_path
) -> None:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    address = f"http://127.0.0.1:{receiver.server_port}/hook"
    with (
        override_settings(ROOTSTOCK_HTTP_ALLOW_PRIVATE="127.0.0.1/32"),
        organisation_scope(organisation.pk),
    ):
        hooks = [
            channel_create(actor=SYSTEM, name=f"Hook {n}", medium="webhook", address=address)
            for n in range(CHANNELS)
        ]
        steps = [StepInput("person", user_id=manager.pk)]
        for hook in hooks:
            steps += [StepInput("channel", channel_id=hook.pk), StepInput("wait", wait_seconds=1)]
        chain = chain_save(chain=None, actor=SYSTEM, name="All", steps=steps)
        route_save(route=None, actor=SYSTEM, name="All", chain_id=chain.pk, group_wait_seconds=0)
        alert_make()

    def done() -> bool:
        with organisation_scope(organisation.pk):
            waiting = Notification.objects.filter(state="waiting").exists()
            return AlertGroup.objects.get().step == len(steps) and not waiting

    deadline = time.monotonic() + PATIENCE
    killed = 0
    worker = start()
    while not done():
        assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()[-3000:]
        dispatch.sweep()
        time.sleep(0.2)
        if killed < CHANNELS and len(set(receiver.ids)) > killed:
            worker.send_signal(signal.SIGKILL)  # while the receiver has not answered yet
            worker.wait()
            killed += 1
            if killed == 2:
                client.flushall()
            worker = start()
    client.close()
    with organisation_scope(organisation.pk):
        states = Counter(Notification.objects.values_list("medium", "state"))
        told = AlertEntry.objects.filter(kind="told").count()
        here = Event.objects.filter(type="alert.notified").count()
    assert killed == CHANNELS
    assert states == {("in_app", "sent"): 1, ("email", "sent"): 1, ("webhook", "sent"): CHANNELS}
    assert told == CHANNELS + 2
    assert here == 1
    # What was under way when the worker died comes again with the same id: receivers know it by that.
    assert len(set(receiver.ids)) == CHANNELS
