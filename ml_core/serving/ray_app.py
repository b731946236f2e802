"""The engine as a Ray Serve application: the same process inside, in as many replicas as the load wants.

A replica is one engine with the ASGI application of `ml_core.serving.app` before it, called through its deployment
handle (`ray_transport`) instead of a socket. Ray starts replicas when calls pile up and stops them when they are idle,
replaces one that dies or whose engine has failed, and drains what it stops.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

from ml_core.serving.ray_transport import APPLICATION, Reply, connect

_DRAIN_SECONDS = 30.0
_HEALTH_PERIOD_SECONDS = 5.0
# Calls that wait for room on the side of a caller; the engines have their own queues.
_WAITING_CALLS = 1024


@dataclass(frozen=True)
class Scale:
    """How many replicas: between ``least`` and ``most``, so many that each has about ``target_calls`` under way; at
    most ``most_calls`` are given to one. A replica reserves ``cpus`` and ``gpus`` of its node. One more is started
    after ``up_seconds`` of more calls than that, one stopped after ``down_seconds`` of fewer."""

    least: int = 1
    most: int = 4
    cpus: float = 1.0
    gpus: float = 0.0
    target_calls: float = 16.0
    most_calls: int = 128
    up_seconds: float = 10.0
    down_seconds: float = 120.0


class Replica:
    """An engine in a process of Ray. Made on the event loop that answers."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        from ml_core.serving.server import build_app

        self._app = build_app(**options, on_ready=lambda: None)
        self._token = options["token"]
        self._life: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._life.put_nowait({"type": "lifespan.startup"})
        self._living = asyncio.create_task(
            self._app({"type": "lifespan"}, self._life.get, _say_nothing)
        )

    async def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        """What the ASGI application says to a request. Cancelled, its work is dropped."""
        given = [{"type": "http.request", "body": body, "more_body": False}]
        said: list[Mapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if given:
                return given.pop()
            # Nobody hangs up: a caller that is gone cancels this whole call.
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Mapping[str, Any]) -> None:
            said.append(message)

        raw = [(key.encode(), value.encode()) for key, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": raw}
        await self._app(scope, receive, send)
        start = said[0]
        answered = {key.decode(): value.decode() for key, value in start["headers"]}
        return start["status"], answered, b"".join(part.get("body", b"") for part in said[1:])

    async def check_health(self) -> None:
        """Ray replaces the replica when this raises."""
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        _, _, body = await self.answer("GET", "/healthz", headers, b"")
        status = json.loads(body)["status"]
        if status != "ok":
            raise RuntimeError(f"the engine is {status}")

    # Ray awaits it when the replica stops, after the last answer.
    async def __del__(self) -> None:
        self._life.put_nowait({"type": "lifespan.shutdown"})
        await self._living


async def _say_nothing(_: Mapping[str, Any]) -> None:
    """What the application says about its start and end; a failure of the start is raised by the task."""


def application(options: Mapping[str, Any], scale: Scale) -> Application:
    """The application of replicas, each with what `ml_core.serving.server.build_app` makes of ``options``."""
    deployment = serve.deployment(
        name="Engine",
        ray_actor_options={"num_cpus": scale.cpus, "num_gpus": scale.gpus},
        max_ongoing_requests=scale.most_calls,
        max_queued_requests=_WAITING_CALLS,
        autoscaling_config=AutoscalingConfig(
            min_replicas=scale.least,
            max_replicas=scale.most,
            target_ongoing_requests=scale.target_calls,
            upscale_delay_s=scale.up_seconds,
            downscale_delay_s=scale.down_seconds,
        ),
        health_check_period_s=_HEALTH_PERIOD_SECONDS,
        graceful_shutdown_timeout_s=_DRAIN_SECONDS,
    )(Replica)
    return deployment.bind(dict(options))


def deploy(address: str, options: Mapping[str, Any], scale: Scale) -> None:
    """Connect to the Ray at ``address`` and run the `application` there; returns when its first replicas answer. One
    that ran there before is replaced, replica by replica, without a refused call.

    Raises ConnectionError when there is no Ray, RuntimeError when no replica starts.
    """
    connect(address)
    serve.start(proxy_location="Disabled")
    serve.run(application(options, scale), name=APPLICATION, route_prefix=None)


def serve_on_ray(address: str, options: Mapping[str, Any], scale: Scale) -> None:
    """`deploy` and stay until SIGTERM or SIGINT, then stop the application."""
    stopped = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopped)
    deploy(address, options, scale)
    sys.stderr.write(f"inference application ready at {address}\n")
    sys.stderr.flush()
    signal.sigwait(stopped)
    serve.delete(APPLICATION)
    ray.shutdown()
