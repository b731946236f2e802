"""Reach an engine that Ray Serve hosts by Ray's own way to its replicas: transports for httpx, so that the clients stay
the same and no HTTP proxy lies between.

"ray:local" is the Ray of this machine (or the one that RAY_ADDRESS names), "ray://host:6379" a cluster by the address
of its head; this machine is a node of it. Importing this module needs Ray; who serves or asks elsewhere never does.

A request is answered once or not at all. One whose replica died, that found no room or no replica gets an error that
says it can be sent again, and is sent again by the clients within their deadline: computing changes nothing, so it does
not matter how far the dead replica came. An answer that comes after its caller's deadline is dropped, and its work too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from typing import Any, cast

import httpx

# A cluster wants its token (~/.ray/auth_token or RAY_AUTH_TOKEN); a driver offers it only if told before Ray is loaded.
os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
from ray import serve
from ray.exceptions import RayError, TaskCancelledError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from ml_core.serving.transport import RAY_LOCAL

APPLICATION = "rootstock-inference"
# What the replicas answer to: (method, path, headers, body) → (status, headers, body).
Reply = tuple[int, dict[str, str], bytes]
# Until a replica has room again; the engine itself says more exactly when.
_RETRY_AFTER = "1"

_connecting = threading.Lock()


def connect(address: str, **options: Any) -> None:
    """Make this process a driver of the Ray at ``address``, once. Raises ConnectionError when there is none."""
    with _connecting:
        if ray.is_initialized():
            return
        ray.init(
            "auto" if address == RAY_LOCAL else address.removeprefix("ray://"),
            log_to_driver=False,
            logging_level=logging.WARNING,
            **options,
        )


def handle(address: str) -> DeploymentHandle[Any]:
    """The way to the application's replicas. Raises httpx.ConnectError when Ray or the application is not there."""
    try:
        connect(address)
        return serve.get_app_handle(APPLICATION)
    except (RayError, RayServeException, ConnectionError, ValueError, RuntimeError) as error:
        raise httpx.ConnectError(f"no inference application on Ray: {error}") from error


class RayTransport(httpx.BaseTransport):
    """Requests of an `httpx.Client` to the replicas; from any thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._handle: DeploymentHandle[Any] | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.ReadTimeout after the request's time, and httpx.ConnectError or httpx.ReadError for what may be
        sent again."""
        if self._handle is None:
            self._handle = handle(self._address)
        response = _ask(self._handle, request)
        try:
            return _response(response.result(timeout_s=_timeout(request)))
        except TimeoutError as error:
            response.cancel()
            raise httpx.ReadTimeout("no answer from the replicas in time") from error
        except (RayError, RayServeException) as error:
            return _failure(error)


class AsyncRayTransport(httpx.AsyncBaseTransport):
    """The same for an `httpx.AsyncClient`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._handle: DeploymentHandle[Any] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See `RayTransport.handle_request`; a cancelled caller's work is cancelled."""
        if self._handle is None:
            self._handle = await asyncio.to_thread(handle, self._address)
        response = _ask(self._handle, request)
        try:
            async with asyncio.timeout(_timeout(request)):
                return _response(await response)
        except TimeoutError as error:
            response.cancel()
            raise httpx.ReadTimeout("no answer from the replicas in time") from error
        except asyncio.CancelledError:
            response.cancel()
            raise
        except (RayError, RayServeException) as error:
            return _failure(error)


def _ask(replicas: DeploymentHandle[Any], request: httpx.Request) -> DeploymentResponse[Any]:
    # httpx reads bodies that are in memory, and the clients send no others, when it makes the request.
    headers = dict(request.headers.items())
    asked = replicas.answer.remote(request.method, request.url.path, headers, request.content)
    return cast("DeploymentResponse[Any]", asked)


def _timeout(request: httpx.Request) -> float | None:
    found: float | None = request.extensions["timeout"]["read"]
    return found


def _response(reply: Reply) -> httpx.Response:
    status, headers, body = reply
    return httpx.Response(status, headers=headers, content=body)


def _failure(error: RayError | RayServeException) -> httpx.Response:
    """A full queue before the replicas is an answer; raises httpx.ReadError for a replica that died or went away."""
    if isinstance(error, BackPressureError):
        body = {"error": {"code": "overloaded", "message": "no replica has room"}}
        headers = {"content-type": "application/json", "retry-after": _RETRY_AFTER}
        return httpx.Response(429, headers=headers, content=json.dumps(body).encode())
    if isinstance(error, TaskCancelledError):
        raise httpx.ReadError("the replica is going down") from error
    raise httpx.ReadError(f"the replica failed: {type(error).__name__}") from error
