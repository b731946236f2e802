"""Clients of the inference process. Free of torch; connections are pooled and kept open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from ml_core.serving.errors import (
    DeadlineExceeded,
    InferenceError,
    InferenceUnavailable,
    ModelNotLoaded,
    Overloaded,
)
from ml_core.serving.protocol import (
    DEADLINE_HEADER,
    ClassifyRequest,
    ClassifyResult,
    Health,
    ModelInfo,
)

_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=60)
# The process answers "deadline exceeded" itself; the socket waits a little longer for that answer.
_GRACE_SECONDS = 1.0
# A connection kept open breaks when the process was restarted: what it carried can safely be sent
# again.
_BROKEN = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError)


class InferenceClient:
    """Talk to the inference process at "unix:///path.sock" or "http://host:port".

    Thread-safe; make one and keep it. ``timeout`` (seconds) is also the deadline the process works
    to. Every method raises InferenceUnavailable when nobody answers, DeadlineExceeded when the
    answer takes longer than ``timeout``, and InferenceError with a code for a refused request (see
    the subclasses).
    """

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 30.0) -> None:
        self.address = address
        self._timeout = timeout
        base, socket = split_address(address)
        self._http = httpx.Client(
            base_url=base,
            transport=httpx.HTTPTransport(uds=socket, limits=_LIMITS),
            headers=_headers(token, timeout),
            timeout=timeout + _GRACE_SECONDS,
        )

    def classify(self, requests: Sequence[ClassifyRequest]) -> list[ClassifyResult]:
        """Classify texts with one or several models in one call; results in the order of
        ``requests``.

        A model that is not loaded yet is loaded. Raises Overloaded when the queue is full,
        ModelNotLoaded when a model cannot be used; then no request of the call has a result.
        """
        return _results(self._call("POST", "/v1/classify", _classify_body(requests)))

    def health(self) -> Health:
        """The models that are loaded, the length of the queue, uptime, version."""
        return Health.from_dict(self._call("GET", "/healthz"))

    def load(self, model_path: str | Path) -> ModelInfo:
        """Load a model ahead of its first use; replaces a loaded one whose files have changed
        since."""
        return ModelInfo.from_dict(self._call("POST", "/v1/load", {"model": str(model_path)}))

    def unload(self, model_path: str | Path) -> None:
        """Give a model's memory back; texts of it that wait are still answered."""
        self._call("POST", "/v1/unload", {"model": str(model_path)})

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            try:
                response = self._http.request(method, path, json=body)
            except _BROKEN:
                response = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise _transport_error(error, self.address, self._timeout) from error
        return _read(response)


class AsyncInferenceClient:
    """`InferenceClient` for asyncio: the same methods, awaited. Make one per event loop."""

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 30.0) -> None:
        self.address = address
        self._timeout = timeout
        base, socket = split_address(address)
        self._http = httpx.AsyncClient(
            base_url=base,
            transport=httpx.AsyncHTTPTransport(uds=socket, limits=_LIMITS),
            headers=_headers(token, timeout),
            timeout=timeout + _GRACE_SECONDS,
        )

    async def classify(self, requests: Sequence[ClassifyRequest]) -> list[ClassifyResult]:
        """See `InferenceClient.classify`."""
        return _results(await self._call("POST", "/v1/classify", _classify_body(requests)))

    async def health(self) -> Health:
        """See `InferenceClient.health`."""
        return Health.from_dict(await self._call("GET", "/healthz"))

    async def load(self, model_path: str | Path) -> ModelInfo:
        """See `InferenceClient.load`."""
        return ModelInfo.from_dict(await self._call("POST", "/v1/load", {"model": str(model_path)}))

    async def unload(self, model_path: str | Path) -> None:
        """See `InferenceClient.unload`."""
        await self._call("POST", "/v1/unload", {"model": str(model_path)})

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            try:
                response = await self._http.request(method, path, json=body)
            except _BROKEN:
                response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise _transport_error(error, self.address, self._timeout) from error
        return _read(response)


def split_address(address: str) -> tuple[str, str | None]:
    """(base URL, socket path or None) of an address; raises ValueError for any other form."""
    if address.startswith("unix://"):
        path = address.removeprefix("unix://")
        if path.startswith("/"):
            return "http://inference", path
    elif address.startswith(("http://", "https://")):
        return address.rstrip("/"), None
    raise ValueError(f"address {address!r}: expected unix:///path.sock or http://host:port")


def _headers(token: str | None, timeout: float) -> httpx.Headers:
    headers = [(DEADLINE_HEADER.encode(), str(round(timeout * 1000)).encode())]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    return httpx.Headers(headers)


def _classify_body(requests: Sequence[ClassifyRequest]) -> dict[str, Any]:
    return {"requests": [{"model": r.model, "texts": list(r.texts)} for r in requests]}


def _results(body: Any) -> list[ClassifyResult]:
    return [ClassifyResult.from_dict(item) for item in body["results"]]


def _transport_error(error: httpx.HTTPError, address: str, timeout: float) -> InferenceError:
    if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
        return DeadlineExceeded(f"no answer from {address} within {timeout:g} s")
    return InferenceUnavailable(f"the inference process at {address} does not answer: {error}")


def _read(response: httpx.Response) -> Any:
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise InferenceUnavailable(
            f"the answer ({response.status_code}) is not from an inference process"
        ) from None
    if response.is_success:
        return body
    error = body.get("error", {}) if isinstance(body, dict) else {}
    code = error.get("code", "internal_error")
    message = error.get("message", f"status {response.status_code}")
    if code == "overloaded":
        raise Overloaded(message, retry_after=float(response.headers.get("retry-after", "1")))
    if code == "unavailable":
        raise InferenceUnavailable(message)
    if code == "deadline_exceeded":
        raise DeadlineExceeded(message)
    if code.startswith("model_"):
        raise ModelNotLoaded(message, code=code)
    raise InferenceError(message, code=code)
