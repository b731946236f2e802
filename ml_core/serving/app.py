"""The inference process's ASGI application: authentication, JSON, errors; the engine does the
work."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from ml_core.serving.engine import Engine
from ml_core.serving.errors import STATUS, InferenceError, Overloaded
from ml_core.serving.protocol import (
    DEADLINE_HEADER,
    ORGANISATION_HEADER,
    Caller,
    parse_fresh,
    parse_model,
    parse_predict,
)

logger = logging.getLogger(__name__)

_MAX_BODY_BYTES = 32 * 1024 * 1024
_LARGE_BODY_BYTES = 128 * 1024
_MANY_OUTPUTS = 64
_LONGEST_NAME = 64
_METHODS = {
    "/healthz": "GET",
    "/metrics": "GET",
    "/v1/predict": "POST",
    "/v1/load": "POST",
    "/v1/unload": "POST",
}

T = TypeVar("T")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Answers a POST with this JSON body by itself; an InferenceError before anything was sent is answered for it.
Stream = Callable[[Any, Caller, Receive, Send], Awaitable[None]]


class Service(Protocol):
    """Something that runs beside the engine, in its event loop."""

    def start(self) -> None: ...
    async def close(self) -> None: ...


class _CallerGone(Exception):
    """The connection closed before the answer."""


class App:
    """See `ml_core.serving.protocol` for the paths. Without a token everybody who can connect is
    trusted.

    ``streams`` are further paths, of POST, that write their own answers; ``services`` start and end with the engine.
    ``/healthz`` without credentials says only that the process is up, so that a probe needs no
    secret.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        token: str | None,
        on_ready: Callable[[], None],
        streams: Mapping[str, Stream] | None = None,
        services: Sequence[Service] = (),
    ) -> None:
        self._engine = engine
        self._token = token.encode() if token else None
        self._on_ready = on_ready
        self._streams = streams or {}
        self._services = services

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._engine.start()
        for service in self._services:
            service.start()
        await send({"type": "lifespan.startup.complete"})
        self._on_ready()
        await receive()
        for service in self._services:
            await service.close()
        await self._engine.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        headers: dict[str, str] = {}
        content: bytes | dict[str, Any]
        try:
            found = await self._route(scope, receive, send)
            if found is None:
                return
            status, content = 200, found
        except _CallerGone:
            return
        except InferenceError as error:
            status, content = STATUS.get(error.code, 500), _error(error.code, str(error))
            if isinstance(error, Overloaded):
                headers["retry-after"] = f"{error.retry_after:g}"
            # What callers do wrong, or too much of, is counted; the log is for what we must mend.
            if error.code in {"model_damaged", "model_failed", "model_too_large", "unavailable"}:
                logger.warning("%s %s: %s", scope["path"], error.code, error)
        except Exception:
            # The last line of defence: the caller gets an answer, the log the traceback.
            logger.exception("%s failed", scope["path"])
            status, content = 500, _error("internal_error", "an unexpected error; see the log")
        await _respond(send, status, content, headers)

    async def _route(
        self, scope: Message, receive: Receive, send: Send
    ) -> bytes | dict[str, Any] | None:
        """What to answer; None when the answer was sent already."""
        path, method = scope["path"], scope["method"]
        headers = {key.decode("latin-1"): value for key, value in scope["headers"]}
        authorisation = headers.get("authorization")
        if path == "/healthz" and authorisation is None and self._token is not None:
            return {"status": "ok"}
        self._authenticate(authorisation)
        wanted = _METHODS.get(path) or ("POST" if path in self._streams else None)
        if wanted is None:
            raise InferenceError(f"there is no {path}", code="not_found")
        if method != wanted:
            raise InferenceError(f"{path} takes {wanted} only", code="method_not_allowed")
        if method == "GET":
            return (
                asdict(self._engine.health())
                if path == "/healthz"
                else self._engine.metrics.render()
            )
        body = await _aside_if_large(await _read_body(receive), _json)
        if path in {"/v1/load", "/v1/unload"}:
            return await self._load_or_unload(path, parse_model(body))
        caller = _caller(headers)
        if path in self._streams:
            await self._streams[path](body, caller, receive, send)
            return None
        requests, priority = parse_predict(body)
        results = await _unless_gone(
            self._engine.predict(
                requests,
                timeout=caller.timeout,
                priority=priority,
                organisation=caller.organisation,
                fresh=parse_fresh(body),
            ),
            receive,
        )
        # Not `asdict`: it would copy every probability.
        return {"results": [vars(result) for result in results]}

    async def _load_or_unload(self, path: str, model: str) -> dict[str, Any]:
        load = path == "/v1/load"
        return asdict(await self._engine.load(model) if load else self._engine.unload(model))

    def _authenticate(self, authorisation: bytes | None) -> None:
        if self._token is None:
            return
        given = authorisation or b""
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            raise InferenceError("the token is missing or wrong", code="unauthorised")


async def _unless_gone(work: Awaitable[T], receive: Receive) -> T:
    """Await ``work``, but cancel it when the caller hangs up."""
    task = asyncio.ensure_future(work)
    hang_up = asyncio.ensure_future(receive())
    try:
        await asyncio.wait({task, hang_up}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _CallerGone
        return task.result()
    finally:
        for pending in (task, hang_up):
            pending.cancel()
        await asyncio.gather(task, hang_up, return_exceptions=True)


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _CallerGone
        part = message.get("body", b"")
        size += len(part)
        if size > _MAX_BODY_BYTES:
            raise InferenceError(f"the body is over {_MAX_BODY_BYTES:,} bytes", code="too_large")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InferenceError(f"the body is not JSON: {error}", code="bad_request") from None


def _caller(headers: Mapping[str, bytes]) -> Caller:
    organisation = headers.get(ORGANISATION_HEADER, b"").decode("latin-1")[:_LONGEST_NAME]
    return Caller(_timeout(headers.get(DEADLINE_HEADER)), organisation)


async def _aside_if_large(body: bytes, read: Callable[[bytes], T]) -> T:
    """``read(body)``, in another thread when it takes so long that others would wait."""
    if len(body) < _LARGE_BODY_BYTES:
        return read(body)
    return await asyncio.get_running_loop().run_in_executor(None, read, body)


def _timeout(header: bytes | None) -> float | None:
    """Seconds the caller will wait; None when it does not say."""
    if header is None:
        return None
    if not header.isdigit() or len(header) > 9:
        message = f"{DEADLINE_HEADER} must be a whole number of milliseconds"
        raise InferenceError(message, code="bad_request")
    return int(header) / 1000


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


async def _written(content: dict[str, Any]) -> bytes:
    """``content`` as JSON, in another thread where there are so many outputs that others would wait."""

    def write() -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    if sum(len(result["outputs"]) for result in content.get("results", ())) < _MANY_OUTPUTS:
        return write()
    return await asyncio.get_running_loop().run_in_executor(None, write)


async def _respond(
    send: Send, status: int, content: bytes | dict[str, Any], headers: dict[str, str]
) -> None:
    if isinstance(content, bytes):
        body, kind = content, "text/plain; version=0.0.4; charset=utf-8"
    else:
        body, kind = await _written(content), "application/json"
    headers = {"content-type": kind, "content-length": str(len(body))} | headers
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
