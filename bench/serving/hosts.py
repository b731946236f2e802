"""Servers that answer one text a request with its vector: ours, and the peers that host the same base in int8."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.serving import ours, plain
from bench.serving.load import Connection, Target
from bench.serving.processes import free_port, seconds_until_ready, start, stop

OURS = "Rootstock"
LITSERVE = "LitServe"
RAY_SERVE = "Ray Serve"
_READY_SECONDS = 180.0
# Of what is accepted, so that it is answered within a second.
_MAX_WAIT_SECONDS = 0.4


@dataclass(frozen=True)
class Host:
    """A running server: where it is asked, its first process, and how long it took until the first answer."""

    target: Target
    process_id: int
    start_seconds: float


@contextmanager
def rootstock(threads: int) -> Iterator[Host]:
    """`python -m ml_core serve` with the backend that this machine's calibration chose."""
    with tempfile.TemporaryDirectory(prefix="rootstock-serving-") as folder:
        server = ours.Server(Path(folder), threads=threads, max_wait=_MAX_WAIT_SECONDS)
        with server.running():
            yield Host(server.target(), server.process_id, server.start_seconds)


@contextmanager
def litserve(threads: int) -> Iterator[Host]:
    """LitServe, one worker, batches of 32 at most that wait 2 ms."""
    with _peer("litserve", "/predict", threads) as host:
        yield host


@contextmanager
def ray_serve(threads: int) -> Iterator[Host]:
    """Ray Serve through its HTTP proxy, one replica, batches of 32 at most that wait 2 ms."""
    with _peer("ray", "/", threads) as host:
        yield host


HOSTS: dict[str, Callable[[int], object]] = {
    OURS: rootstock,
    LITSERVE: litserve,
    RAY_SERVE: ray_serve,
}


@contextmanager
def _peer(name: str, path: str, threads: int) -> Iterator[Host]:
    model, tokenizer = plain.files()
    port = free_port()
    target = Target(
        f"http://127.0.0.1:{port}", path, lambda text: json.dumps({"text": text}).encode()
    )
    # Ray's sockets need a short path.
    with tempfile.TemporaryDirectory(prefix="rs-") as folder:
        command = [
            sys.executable, "-m", f"bench.serving.peer_{name}",
            str(port), str(model), str(tokenizer), str(threads), folder,
        ]  # fmt: skip
        log = Path(folder) / "server.log"
        process = start(
            command, log, threads,
            RAY_USAGE_STATS_ENABLED="0", RAY_SERVE_THROUGHPUT_OPTIMIZED="1",
            RAY_AUTH_MODE="disabled", PYTHONUNBUFFERED="1",
        )  # fmt: skip
        try:
            seconds = seconds_until_ready(process, log, lambda: _answers(target), _READY_SECONDS)
            yield Host(target, process.pid, seconds)
        finally:
            stop(process)


def _answers(target: Target) -> bool:
    async def ask() -> bool:
        connection = Connection(target)
        status = await connection.ask("Are you there?")
        connection.close()
        return status == 200

    return asyncio.run(ask())
