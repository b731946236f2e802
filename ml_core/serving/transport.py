"""What the clients' calls have in common: addresses, headers, deadlines, when to send again, what an answer means."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import httpx

from ml_core.serving.errors import (
    DeadlineExceeded,
    InferenceError,
    InferenceUnavailable,
    ModelNotLoaded,
    Overloaded,
)
from ml_core.serving.protocol import DEADLINE_HEADER, ORGANISATION_HEADER

LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=60)
# The process answers "deadline exceeded" itself; the socket waits a little longer for that answer.
_GRACE_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
RAY_LOCAL = "ray:local"
_BASE_URL = "http://inference"


class Attempts:
    """The deadline of one call, and how often it may be sent again until then.

    Sending again is safe: nothing that the process does changes what it answers.
    """

    def __init__(self, timeout: float, retries: int) -> None:
        self.timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._left = retries
        self._pause = _FIRST_PAUSE_SECONDS

    def headers(self, organisation: str) -> dict[str, str]:
        """The headers of the next attempt."""
        headers = {DEADLINE_HEADER: str(max(1, round(self._remaining() * 1000)))}
        if organisation:
            headers[ORGANISATION_HEADER] = organisation
        return headers

    def socket_timeout(self) -> float:
        """Seconds that the socket waits."""
        return max(0.0, self._remaining()) + _GRACE_SECONDS

    def pause(self, error: InferenceUnavailable | Overloaded) -> float:
        """Seconds to wait before the next attempt, between a half and one and a half of what it doubles to each time,
        up to 2 s (Brooker 2015, "Exponential Backoff and Jitter"), or a little over what the process asked for.

        Raises ``error`` when no attempt is left, or no time for one.
        """
        if isinstance(error, Overloaded):
            wait = error.retry_after * random.uniform(1.0, 1.25)
        else:
            wait = self._pause * random.uniform(0.5, 1.5)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        if not self._left or wait >= self._remaining():
            raise error
        self._left -= 1
        return wait

    def _remaining(self) -> float:
        return self._deadline - time.monotonic()


def split_address(address: str) -> tuple[str, str | None]:
    """(base URL, socket path or None) of an address; raises ValueError for any other form."""
    if address.startswith("unix://"):
        path = address.removeprefix("unix://")
        if path.startswith("/"):
            return _BASE_URL, path
    elif address.startswith(("http://", "https://")):
        return address.rstrip("/"), None
    raise ValueError(
        f"address {address!r}: expected unix:///path.sock, http://host:port, ray:local or ray://host:port"
    )


def on_ray(address: str) -> bool:
    """Whether Ray Serve hosts the engine at this address, "ray:local" or "ray://host:port"."""
    return address == RAY_LOCAL or address.startswith("ray://")


def open_transport(address: str) -> tuple[str, httpx.BaseTransport]:
    """(base URL, what carries requests) to an address; raises ValueError for a malformed one, or without Ray."""
    if on_ray(address):
        _require_ray(address)
        from ml_core.serving.ray_transport import RayTransport

        return _BASE_URL, RayTransport(address)
    base, socket = split_address(address)
    return base, httpx.HTTPTransport(uds=socket, limits=LIMITS)


def open_async_transport(address: str) -> tuple[str, httpx.AsyncBaseTransport]:
    """`open_transport` for asyncio."""
    if on_ray(address):
        _require_ray(address)
        from ml_core.serving.ray_transport import AsyncRayTransport

        return _BASE_URL, AsyncRayTransport(address)
    base, socket = split_address(address)
    return base, httpx.AsyncHTTPTransport(uds=socket, limits=LIMITS)


def _require_ray(address: str) -> None:
    if find_spec("ray") is None:
        raise ValueError(f"address {address!r} needs Ray, which is not installed (ray[serve])")


def token_header(token: str | None) -> httpx.Headers:
    """The header that presents ``token``; none without one."""
    return httpx.Headers([(b"authorization", f"Bearer {token}".encode())] if token else [])


def transport_error(error: httpx.HTTPError, address: str, timeout: float) -> InferenceError:
    """What a failure of the connection means."""
    if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
        return DeadlineExceeded(f"no answer from {address} within {timeout:g} s")
    return InferenceUnavailable(f"the inference process at {address} does not answer: {error}")


def read_answer(response: httpx.Response) -> Any:
    """The JSON body of an answer; raises what its error stands for."""
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise InferenceUnavailable(
            f"the answer ({response.status_code}) is not from an inference process"
        ) from None
    if response.is_success:
        return body
    error = body.get("error", {}) if isinstance(body, dict) else {}
    error.setdefault("message", f"status {response.status_code}")
    raise error_from(error, retry_after=float(response.headers.get("retry-after", "1")))


def error_from(error: Mapping[str, str], *, retry_after: float = 1.0) -> InferenceError:
    """What the "error" object of an answer stands for."""
    code = error.get("code", "internal_error")
    message = error.get("message", code)
    if code == "overloaded":
        return Overloaded(message, retry_after=retry_after)
    if code == "unavailable":
        return InferenceUnavailable(message)
    if code == "deadline_exceeded":
        return DeadlineExceeded(message)
    if code.startswith("model_"):
        return ModelNotLoaded(message, code=code)
    return InferenceError(message, code=code)
