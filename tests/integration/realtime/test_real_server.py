"""The same protocol through a real uvicorn process, with the connection cut in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from asgiref.sync import sync_to_async
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections

from rootstock.realtime.services import event_append
from rootstock.tenancy.scope import organisation_scope

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def port(live_db: None, tmp_path: Path) -> Iterator[int]:
    """A uvicorn process on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
    }
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "rootstock.config.asgi:application", "--port",
             str(number), "--lifespan", "off", "--log-level", "warning"],
            env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT,
        )  # fmt: skip
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", number)) == 0:
                break
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail((tmp_path / "web.log").read_text()[-3000:])
        time.sleep(0.1)
    yield number
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def session_of(user: Any, organisation: Any) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session["organisation_id"] = str(organisation.pk)
    session.create()
    return str(session.session_key)


async def test_cut_connections_show_every_event_once(port, organisation, make_user) -> None:
    total = 300

    def sign_in() -> str:
        return session_of(make_user(organisation), organisation)

    def write() -> None:
        for number in range(total):
            with organisation_scope(organisation.pk):
                event_append("jobs", "t.event", {"n": number})
        connections.close_all()

    session = await sync_to_async(sign_in, thread_sensitive=False)()
    headers = {"Cookie": f"sessionid={session}", "Origin": f"http://127.0.0.1:{port}"}
    numbers: list[int] = []
    writer = asyncio.create_task(sync_to_async(write, thread_sensitive=False)())
    while len(numbers) < total:
        client = await websockets.connect(
            f"ws://127.0.0.1:{port}/ws/events/", additional_headers=headers
        )
        last = numbers[-1] if numbers else 0
        await client.send(
            json.dumps({"action": "subscribe", "stream": "jobs", "last_event_id": last})
        )
        assert json.loads(await asyncio.wait_for(client.recv(), 20))["type"] == "subscribed"
        frames = [
            json.loads(await asyncio.wait_for(client.recv(), 20))
            for _ in range(min(70, total - len(numbers)))
        ]
        numbers += [frame["id"] for frame in frames]
        client.transport.abort()  # no farewell: as when a cable is pulled
    await writer
    assert numbers == list(range(1, total + 1))


async def test_foreign_page_is_refused(port, organisation, make_user) -> None:
    session = await sync_to_async(
        lambda: session_of(make_user(organisation), organisation), thread_sensitive=False
    )()
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        await websockets.connect(
            f"ws://127.0.0.1:{port}/ws/events/",
            additional_headers={
                "Cookie": f"sessionid={session}",
                "Origin": "https://evil.example",
            },
        )
    assert refused.value.response.status_code == 403
