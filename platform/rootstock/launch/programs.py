"""The processes of an installation: how each is started and how one sees that it does its work."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from celery import Celery
from kombu.exceptions import OperationalError

CHECK_SECONDS = 2.0


@dataclass(frozen=True)
class Program:
    """A long-running process. `healthy` answers within a few seconds; None: that it runs is enough."""

    name: str
    command: list[str]
    healthy: Callable[[], bool] | None = None


def programs(variables: Mapping[str, str], *, host: str, port: int) -> list[Program]:
    """Web, workers, beat and inference, in the order in which they are started.

    Args:
        variables: the whole environment that they will run with.
        host, port: where the web process listens.
    """
    address = variables["ROOTSTOCK_INFERENCE_ADDRESS"]
    inference = [
        Program(
            "inference",
            python(
                *("-m", "ml_core", "serve", "--address", address),
                *("--allowed-root", variables["ROOTSTOCK_ARTIFACTS"]),
                *("--token-env", "ROOTSTOCK_INFERENCE_TOKEN"),
            ),
            partial(inference_answers, address),
        )
    ]
    return [
        # An address elsewhere means that somebody else runs it.
        *(inference if address.startswith("unix://") else []),
        Program(
            "web",
            python(
                *("-m", "uvicorn", "rootstock.config.asgi:application"),
                *("--host", host, "--port", str(port)),
                *("--timeout-graceful-shutdown", "3", "--no-access-log"),
            ),
            partial(web_answers, reachable(host), port),
        ),
        worker("worker", variables, queues="default,ingest", threads=worker_threads(variables)),
        worker("poller", variables, queues="polling", threads=poller_threads(variables)),
        worker("trainer", variables, queues="training", threads=1),
        Program(
            "beat",
            # The schedule is in the settings and starts afresh: no state on the disk that can break.
            celery("beat", "--scheduler", "celery.beat:Scheduler", "--pidfile="),
        ),
    ]


def demo_stream() -> Program:
    """Keeps fresh headlines coming, with a surge every two minutes."""
    return Program("demo-stream", python("manage.py", "demo_stream"))


def demo_shop(port: int, *, widget: str, secrets: Path) -> Program:
    """The site of a made-up shop, of an origin of its own, with the widget of `widget` in its pages.

    Args:
        secrets: where `demo_channel` leaves the secrets of the business actions that the shop answers.
    """
    return Program(
        "demo-shop",
        python(
            *("-m", "apps.customer_service.demo.shop"),
            *("--port", str(port), "--widget", widget, "--secrets", str(secrets)),
        ),
        partial(shop_answers, port),
    )


def worker(name: str, variables: Mapping[str, str], *, queues: str, threads: int) -> Program:
    """A Celery worker whose tasks run in threads of one process."""
    node = f"{name}@{socket.gethostname()}"
    arguments = ["-n", node, "-Q", queues, "-P", "threads", "-c", str(threads)]
    arguments += ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    return Program(name, celery("worker", *arguments), WorkerCheck(variables["REDIS_URL"], node))


class WorkerCheck:
    """Whether a worker takes messages from the broker: a process may live and yet be deaf."""

    def __init__(self, redis_url: str, node: str) -> None:
        self._app = Celery(broker=broker_url(redis_url))
        self._app.conf.broker_connection_retry = False
        self._node = node

    def __call__(self) -> bool:
        try:
            return bool(
                self._app.control.ping(destination=[self._node], timeout=CHECK_SECONDS, limit=1)
            )
        except (OperationalError, OSError):
            return False


def broker_url(redis_url: str) -> str:
    """Celery's way of writing a Redis address."""
    if redis_url.startswith("unix://"):
        return "redis+socket://" + redis_url.removeprefix("unix://")
    return redis_url


def worker_threads(variables: Mapping[str, str]) -> int:
    """How many tasks the worker runs at once."""
    return int(variables.get("ROOTSTOCK_WORKER_THREADS") or 4)


def poller_threads(variables: Mapping[str, str]) -> int:
    """How many sources are asked at once; they mostly wait."""
    return int(variables.get("ROOTSTOCK_POLLER_THREADS") or 16)


def web_answers(host: str, port: int) -> bool:
    """Whether the web process answers at all; whether it is ready to serve is /readyz's to say."""
    return answers(httpx.HTTPTransport(), f"http://{host}:{port}/healthz")


def shop_answers(port: int) -> bool:
    """Whether the shop shows its pages."""
    return answers(httpx.HTTPTransport(), f"http://127.0.0.1:{port}/")


def inference_answers(address: str) -> bool:
    """Whether the inference process answers at its socket."""
    path = address.removeprefix("unix://")
    return os.path.exists(path) and answers(  # noqa: PTH110 - a socket, not a file to read
        httpx.HTTPTransport(uds=path), "http://inference/healthz"
    )


def answers(transport: httpx.HTTPTransport, url: str) -> bool:
    """Whether somebody answers with anything but a server error."""
    try:
        with httpx.Client(transport=transport, timeout=CHECK_SECONDS) as client:
            return client.get(url).status_code < 500
    except httpx.HTTPError:
        return False


def reachable(host: str) -> str:
    """An address under which a server that listens on `host` can be reached from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - a comparison


def python(*arguments: str) -> list[str]:
    """A command of our environment's Python."""
    return [sys.executable, *arguments]


def celery(*arguments: str) -> list[str]:
    """A command of our Celery application."""
    return python("-m", "celery", "-A", "rootstock.config.celery", *arguments)
