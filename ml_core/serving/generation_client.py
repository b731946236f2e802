"""Clients of the inference process for text that comes piece by piece. Free of torch."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import Any, Self

import httpx

from ml_core.serving.errors import InferenceUnavailable
from ml_core.serving.generation_protocol import GenerationOptions, Piece, generate_request
from ml_core.serving.protocol import DEADLINE_HEADER
from ml_core.serving.transport import (
    error_from,
    open_async_transport,
    open_transport,
    read_answer,
    token_header,
    transport_error,
)

_GRACE_SECONDS = 1.0
_AS_TRAINED = GenerationOptions()


class GenerationClient:
    """Streams replies from the inference process at "unix:///path.sock" or "http://host:port".

    Thread-safe; make one and keep it. ``timeout`` (seconds) is the deadline of a whole reply, to which the process
    works too.
    """

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 120.0) -> None:
        self.address = address
        self._timeout = timeout
        base, transport = open_transport(address)
        self._http = httpx.Client(
            base_url=base,
            transport=transport,
            headers=_headers(token, timeout),
            timeout=timeout + _GRACE_SECONDS,
        )

    def generate(
        self,
        model: str,
        prompt: str | Sequence[Mapping[str, str]],
        options: GenerationOptions = _AS_TRAINED,
    ) -> Generator[Piece]:
        """The next reply of a conversation (or to a user's text) as it is written; the last piece is ``done``. Stop
        iterating (``close`` the iterator) and the process stops writing.

        Raises Overloaded, ModelNotLoaded, DeadlineExceeded, InferenceUnavailable (also when the process dies in the
        middle) and InferenceError with a code.
        """
        body = generate_request(model, prompt, options).to_dict()
        last = None
        try:
            with self._http.stream("POST", "/v1/generate", json=body) as response:
                if not response.is_success:
                    response.read()
                    read_answer(response)
                for line in response.iter_lines():
                    last = _piece(line)
                    yield last
        except httpx.HTTPError as error:
            raise transport_error(error, self.address, self._timeout) from error
        _check_whole(last, self.address)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncGenerationClient:
    """`GenerationClient` for asyncio. Make one per event loop."""

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 120.0) -> None:
        self.address = address
        self._timeout = timeout
        base, transport = open_async_transport(address)
        self._http = httpx.AsyncClient(
            base_url=base,
            transport=transport,
            headers=_headers(token, timeout),
            timeout=timeout + _GRACE_SECONDS,
        )

    async def generate(
        self,
        model: str,
        prompt: str | Sequence[Mapping[str, str]],
        options: GenerationOptions = _AS_TRAINED,
    ) -> AsyncGenerator[Piece]:
        """See `GenerationClient.generate`."""
        body = generate_request(model, prompt, options).to_dict()
        last = None
        try:
            async with self._http.stream("POST", "/v1/generate", json=body) as response:
                if not response.is_success:
                    await response.aread()
                    read_answer(response)
                async for line in response.aiter_lines():
                    last = _piece(line)
                    yield last
        except httpx.HTTPError as error:
            raise transport_error(error, self.address, self._timeout) from error
        _check_whole(last, self.address)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _headers(token: str | None, timeout: float) -> httpx.Headers:
    headers = token_header(token)
    headers[DEADLINE_HEADER] = str(round(timeout * 1000))
    return headers


def _piece(line: str) -> Piece:
    values: Any = json.loads(line)
    if "error" in values:
        raise error_from(values["error"])
    return Piece.from_dict(values)


def _check_whole(last: Piece | None, address: str) -> None:
    if last is None or not last.done:
        raise InferenceUnavailable(f"the reply from {address} broke off")
