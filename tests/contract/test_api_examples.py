"""The examples of docs/api.md, run as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.S | re.M)


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def process_request_thread(self, request, client_address) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            connections.close_all()


class Quiet(WSGIRequestHandler):
    def log_message(self, format, *args) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def url(live_db) -> Iterator[str]:
    with make_server("127.0.0.1", 0, WSGIHandler(), Server, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("command", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_answers(url, organisation, make_key, command):
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    result = subprocess.run(
        ["sh", "-euc", command],
        env={**os.environ, "URL": url, "KEY": make_key(organisation), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    answer = json.loads(result.stdout)
    if "tea:make" in command:
        said = re.search(r"```json\n(.*?)```", TEXT, flags=re.S)
        assert said is not None
        assert answer == json.loads(said[1])


def test_there_are_examples():
    assert len(EXAMPLES) >= 5
