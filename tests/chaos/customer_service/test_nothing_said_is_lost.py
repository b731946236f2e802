"""Visitors write while web, worker, inference and Redis are killed in turn: all stored, each answered once, in order.

The assistant is the real one: it looks for a prepared answer by words and by a model's vectors. The suite sends some
messages; ROOTSTOCK_CHAOS_CLIENTS=50 ROOTSTOCK_CHAOS_MESSAGES=20 sends the thousand of the aim.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings

from apps.customer_service.models import Assistant, Channel, Conversation, Message
from apps.customer_service.selectors.conversations import conversation_stream, messages_after
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.releases import release_publish
from rootstock.common.actors import SYSTEM
from rootstock.outbox import dispatch
from rootstock.realtime.models import Event
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.models import Space

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1800)]
CLIENTS = int(os.environ.get("ROOTSTOCK_CHAOS_CLIENTS", "8"))
MESSAGES = int(os.environ.get("ROOTSTOCK_CHAOS_MESSAGES", "6"))
# Each of the four this often.
ROUNDS = 2
PATIENCE = 1700.0
NO_LIMIT = "10000000"


class Process:
    """A process of the installation, killed and started again."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.command, self.log, self.environment = command, log, environment
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
            )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ensure(self) -> None:
        """Celery may end when its broker goes away under it; the supervisor starts it again then."""
        if self.process.poll() is not None:
            self.start()


class Client(threading.Thread):
    """A visitor who sends each message until it was taken, as the widget does; `turns` says when there is another."""

    def __init__(self, address: str, number: int, turns: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.turns = turns
        self.http = httpx.Client(base_url=f"{address}/widget/api/chaos/", timeout=15)
        self.number = number
        self.talk = ""

    def insist(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        while True:
            try:
                answer = self.http.post(path, json=body)
            except httpx.HTTPError:
                time.sleep(0.2)
                continue
            if answer.status_code < 300:
                return dict(answer.json())
            assert answer.status_code >= 500 or answer.status_code == 429, answer.text
            time.sleep(0.2)

    def run(self) -> None:
        session = self.insist("session", {})
        self.http.headers["Authorization"] = f"Bearer {session['token']}"
        self.talk = self.insist("conversations", {})["id"]
        for number in range(MESSAGES):
            self.turns.acquire()
            self.insist(
                f"conversations/{self.talk}/messages",
                {"client_id": f"m{number}", "body": said(self.number, number)},
            )
        self.http.close()


def said(client: int, number: int) -> str:
    """What a client writes: every message another one."""
    return f"When is shop {client * MESSAGES + number} open on Sundays?"


@pytest.fixture
def installation(
    live_db: None, tmp_path: Path, settings: Any
) -> Iterator[tuple[str, dict[str, Process]]]:
    """Web, worker and inference as processes; the address of the web."""
    # A socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="rc-"))
    settings.INFERENCE_ADDRESS = f"unix://{folder}/i.sock"
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
        "PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "platform"])),
        "ROOTSTOCK_LEASE_SECONDS": "3",
        "ROOTSTOCK_INFERENCE_ADDRESS": settings.INFERENCE_ADDRESS,
        "ROOTSTOCK_INFERENCE_TOKEN": settings.INFERENCE_TOKEN,
        "OMP_NUM_THREADS": "1",
        **{f"ROOTSTOCK_WIDGET_{name}_LIMIT": NO_LIMIT for name in ("IP", "VISITOR", "MESSAGE")},
    }
    commands = {
        "web": ["uvicorn", "rootstock.config.asgi:application", "--port", str(port), "--log-level", "error"],
        "worker": [
            "celery", "-A", "rootstock.config.celery", "worker", "--pool", "threads", "--concurrency", "4",
            "--queues", "default,ingest", "--without-gossip", "--without-mingle", "--loglevel", "WARNING",
        ],
        "inference": [
            "ml_core", "serve", "--address", settings.INFERENCE_ADDRESS, "--allowed-root", str(folder),
            "--threads", "1", "--device", "cpu", "--backend", "torch",
        ],
    }  # fmt: skip
    running: dict[str, Process] = {}
    try:
        for name, command in commands.items():
            running[name] = Process(command, tmp_path / f"{name}.log", environment)
        yield f"http://127.0.0.1:{port}", running
    finally:
        for process in running.values():
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answered(organisation: Any) -> int:
    """Questions with an ended reply."""
    with organisation_scope(organisation.pk):
        return Message.objects.filter(author="assistant", state="done").count()


def as_a_listener_saw_it(conversation: Conversation) -> list[tuple[str, str]]:
    """What the events of a conversation add up to for a client that applies them in order."""
    shown: dict[str, dict[str, Any]] = {}
    stream = conversation_stream(conversation.pk)
    for event in Event.objects.filter(stream=stream).order_by("sequence"):
        data = event.payload
        if event.type == "message":
            shown[data["id"]] = dict(data)
        elif event.type == "chunk":
            message = shown[data["message"]]
            message["body"] = (message["body"] if data["index"] else "") + data["text"]
    ordered = sorted(shown.values(), key=lambda message: message["sequence"])
    return [(message["author"], message["body"]) for message in ordered]


def knowledge(organisation: Any) -> None:
    """One prepared answer, published; its vectors are there once the inference process has made them."""
    with organisation_scope(organisation.pk):
        Channel.objects.create(name="Chaos", key="chaos")
        # Nobody hands over to people: the assistant has the last word.
        Assistant.objects.create(offer_people=False, template_threshold=0.3)
        values = {
            "title": "When are the shops open on Sundays?",
            "questions": ["Is a shop open on Sunday?", "Sunday opening times of a shop"],
            "bodies": {"en": "All shops are open from 10 to 4 on Sundays."},
        }
        answer_save(values=values, actor=SYSTEM)
        release_publish(actor=SYSTEM)
    until = time.monotonic() + 300
    while True:
        with organisation_scope(organisation.pk):
            if Space.objects.filter(state=Space.State.ACTIVE).exists():
                return
        assert time.monotonic() < until, "no vectors"
        dispatch.sweep()
        time.sleep(0.5)


def test_all_stored_each_answered_once_order_kept(
    installation: tuple[str, dict[str, Process]], organisation: Any
) -> None:
    address, running = installation
    broker = redis.Redis.from_url(settings.REDIS_URL)
    broker.flushall()
    knowledge(organisation)
    turns = threading.Semaphore(0)
    clients = [Client(address, number, turns) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    total, kills, given = CLIENTS * MESSAGES, Counter[str](), 0
    victims = ["web", "worker", "inference", "redis"] * ROUNDS
    until = time.monotonic() + PATIENCE
    try:
        while (done := answered(organisation)) < total or any(c.is_alive() for c in clients):
            # Some are under way at every kill, and some are not said before the last.
            share = total * (kills.total() + 1) // (4 * ROUNDS + 1)
            more = min(total, share + CLIENTS // 2) - given
            if more > 0:
                turns.release(more)
                given += more
            logs = {name: process.log.read_text()[-2000:] for name, process in running.items()}
            assert time.monotonic() < until, (done, logs)
            dispatch.sweep()
            for process in running.values():
                process.ensure()
            time.sleep(0.3)
            # The next one when its share of the messages has been answered.
            if victims and done >= share:
                victim = victims.pop(0)
                kills[victim] += 1
                if victim == "redis":
                    broker.flushall()
                    broker.client_kill_filter(_type="normal", skipme=True)
                else:
                    running[victim].kill()
    finally:
        broker.close()
    assert set(kills.values()) == {ROUNDS}, kills
    told: Counter[str] = Counter()
    with organisation_scope(organisation.pk):
        assert Conversation.objects.count() == CLIENTS
        for client in clients:
            conversation = Conversation.objects.get(pk=client.talk)
            messages = messages_after(conversation, 0, public=True)
            spoken = [m for m in messages if m.author in ("visitor", "assistant")]
            assert [m.sequence for m in messages] == list(range(1, len(messages) + 1))
            asked = [m for m in spoken if m.author == "visitor"]
            assert [m.body for m in asked] == [said(client.number, n) for n in range(MESSAGES)]
            replies = [m for m in spoken if m.author == "assistant"]
            assert {m.state for m in replies} == {"done"}
            assert [m.in_reply_to_id for m in replies] == [m.pk for m in asked]
            assert as_a_listener_saw_it(conversation) == [(m.author, m.body) for m in messages]
            told.update(m.kind for m in replies)
    assert told["template"] > total / 2, told
