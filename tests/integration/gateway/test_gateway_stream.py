"""Streams through a real uvicorn process: pieces arrive while the reply is written, and a reader who leaves ends it."""

from __future__ import annotations

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

import httpx
import pytest

from rootstock.common.actors import SYSTEM
from rootstock.gateway import services
from rootstock.tenancy.scope import organisation_scope
from tests.openai_server import KEY, OpenAiServer, openai_server

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def server(settings: Any) -> Iterator[OpenAiServer]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.0/8"
    with openai_server() as running:
        yield running


@pytest.fixture
def url(live_db: None, tmp_path: Path) -> Iterator[str]:
    """A uvicorn process on a free port of loopback, with two database connections."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
        "ROOTSTOCK_HTTP_ALLOW_PRIVATE": "127.0.0.0/8",
        "ROOTSTOCK_DB_POOL": "2",
    }
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "rootstock.config.asgi:application", "--port",
             str(number), "--lifespan", "off", "--log-level", "warning"],
            env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT,
        )  # fmt: skip
    deadline = time.monotonic() + 120
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", number)) == 0:
                break
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail((tmp_path / "web.log").read_text()[-3000:])
        time.sleep(0.1)
    yield f"http://127.0.0.1:{number}/api/openai/v1"
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_streams_of_many_readers(url, server, organisation, make_key) -> None:
    server.piece_seconds = 0.2
    with organisation_scope(organisation.pk):
        services.connection_create(name="vllm", base_url=server.url, api_key=KEY, actor=SYSTEM)
    headers = {"Authorization": f"Bearer {make_key(organisation, ['models:predict'])}"}
    body = {"model": "vllm/echo", "messages": [{"role": "user", "content": "一二三四五六七八"}]}
    with httpx.Client(headers=headers, timeout=60, trust_env=False) as client:
        with client.stream("POST", f"{url}/chat/completions", json={**body, "stream": True}) as one:
            assert one.headers["content-type"] == "text/event-stream"
            lines, arrived = [], []
            for line in one.iter_lines():
                if line:
                    lines.append(line.removeprefix("data: "))
                    arrived.append(time.monotonic())
        assert lines[-1] == "[DONE]"
        said = [json.loads(line)["choices"][0]["delta"].get("content", "") for line in lines[:-1]]
        assert "".join(said) == "八七六五四三二一"
        # Not all at the end: the first piece came before the last was written.
        assert arrived[-1] - arrived[0] > 0.3

        # Three long replies are open, and nobody waits for one of the two database connections.
        long = {**body, "messages": [{"role": "user", "content": "x" * 400}], "stream": True}
        open_streams = [
            client.stream("POST", f"{url}/chat/completions", json=long) for _ in range(3)
        ]
        readers = [each.__enter__().iter_lines() for each in open_streams]
        assert all(next(reader) for reader in readers)
        assert client.get(f"{url}/models").status_code == 200
        whole = client.post(f"{url}/chat/completions", json=body).json()
        assert whole["usage"]["total_tokens"] == 8
        assert not server.hung_up.is_set()
        for each in open_streams:
            each.__exit__(None, None, None)
        assert server.hung_up.wait(20)
