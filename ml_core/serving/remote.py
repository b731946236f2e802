"""Any server that speaks OpenAI's protocol (vLLM, TEI, Ollama, llama.cpp, a cloud) as a back end for chat and
embeddings. Free of torch.

Protocol: POST {base}/chat/completions with server-sent events when streaming, POST {base}/embeddings,
GET {base}/models; https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self

import httpx
import numpy as np

from ml_core.serving.errors import (
    DeadlineExceeded,
    InferenceError,
    InferenceUnavailable,
    ModelNotLoaded,
    Overloaded,
)
from ml_core.serving.generation_protocol import GenerationOptions, Piece

_FIRST_PAUSE_SECONDS = 0.25
# Of an answer that is not streamed, and of a line of one that is.
_MAX_BYTES = 64 * 1024 * 1024
_MAX_LINE = 1024 * 1024


@dataclass(frozen=True)
class Embeddings:
    """``vectors`` (texts, numbers) float32 as the server gave them, and the tokens it says it read."""

    vectors: np.ndarray
    prompt_tokens: int


class RemoteServer:
    """A client of the server at ``base_url`` (with its ``/v1`` or whatever it has), for one event loop.

    ``timeout`` (seconds) is the deadline of a call, of a stream until its end. Until the first answer arrives a call is
    sent again up to ``retries`` times when nobody answers, after 429 (when the server says, in ``Retry-After``) and
    after 5xx, with growing pauses. ``transport`` decides which addresses may be reached.

    Errors: InferenceUnavailable (nobody answers, 5xx, an answer that is not the protocol), DeadlineExceeded,
    Overloaded (429), ModelNotLoaded (404), InferenceError "unauthorised" (401, 403) and "bad_request" (other 4xx);
    the server's own message is in the text, the key never.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str = "",
        timeout: float = 60.0,
        retries: int = 2,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._timeout = timeout
        self._retries = retries
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.AsyncClient(
            headers=headers, transport=transport, timeout=timeout, trust_env=False
        )

    async def models(self) -> list[str]:
        """The names of the models that the server offers."""
        body = await self._json("GET", "/models", None)
        try:
            return [str(model["id"]) for model in body["data"]]
        except (KeyError, TypeError) as error:
            raise self._not_protocol("a list of models") from error

    async def embed(
        self, model: str, texts: Sequence[str], *, dimensions: int | None = None
    ) -> Embeddings:
        """One vector per text, in order."""
        asked: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "float"}
        if dimensions is not None:
            asked["dimensions"] = dimensions
        body = await self._json("POST", "/embeddings", asked)
        try:
            rows = sorted(body["data"], key=lambda row: row["index"])
            vectors = np.asarray([_vector(row["embedding"]) for row in rows], dtype=np.float32)
            tokens = int((body.get("usage") or {}).get("prompt_tokens", 0))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._not_protocol("embeddings") from error
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise self._not_protocol(f"one vector for each of {len(texts)} texts")
        return Embeddings(vectors, tokens)

    async def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, str]],
        options: GenerationOptions | None = None,
    ) -> AsyncGenerator[Piece]:
        """The next reply as it is written; the last piece is ``done`` and has the server's counts of tokens, 0 where
        it gives none. Close the generator and the connection is closed."""
        asked = {
            "model": model,
            "messages": [dict(turn) for turn in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            **_chat_options(options or GenerationOptions()),
        }
        reason = ""
        usage: dict[str, Any] = {}
        deadline = time.monotonic() + self._timeout
        response = await self._open("POST", "/chat/completions", asked, deadline)
        try:
            async with aclosing(_events(response)) as events:
                while (event := await _next(events, deadline)) is not None:
                    usage = event.get("usage") or usage
                    for choice in (event.get("choices") or [])[:1]:
                        reason = choice.get("finish_reason") or reason
                        text = (choice.get("delta") or {}).get("content")
                        if text:
                            yield Piece(str(text))
        except TimeoutError:
            raise DeadlineExceeded(f"{self._base}: not done within {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise self._broken(error) from error
        except (AttributeError, TypeError, ValueError) as error:
            raise self._not_protocol("a chat completion") from error
        finally:
            await response.aclose()
        if not reason:
            raise InferenceUnavailable(f"{self._base}: the reply broke off")
        yield Piece(
            "",
            "length" if reason == "length" else "stop",
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _json(self, method: str, path: str, body: Any) -> Any:
        deadline = time.monotonic() + self._timeout
        response = await self._open(method, path, body, deadline)
        try:
            async with asyncio.timeout_at(_loop_time(deadline)):
                return json.loads(await _limited(response))
        except TimeoutError:
            raise DeadlineExceeded(f"{self._base}: no answer in {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise self._broken(error) from error
        except ValueError as error:
            raise self._not_protocol("JSON") from error
        finally:
            await response.aclose()

    async def _open(self, method: str, path: str, body: Any, deadline: float) -> httpx.Response:
        """An answer that is a success, its body not read yet."""
        pause, left = _FIRST_PAUSE_SECONDS, self._retries
        while True:
            try:
                async with asyncio.timeout_at(_loop_time(deadline)):
                    request = self._http.build_request(method, self._base + path, json=body)
                    response = await self._http.send(request, stream=True)
                    if response.is_success:
                        return response
                    async with aclosing(response):
                        failure = self._refusal(response, await _limited(response))
            except TimeoutError:
                raise DeadlineExceeded(f"{self._base}: no answer in {self._timeout:g} s") from None
            except httpx.HTTPError as error:
                failure = self._broken(error)
            except ValueError as error:
                raise self._not_protocol("of a sensible length") from error
            wait = pause * random.uniform(0.5, 1.5)
            if isinstance(failure, Overloaded):
                wait = max(wait, failure.retry_after)
            retried = isinstance(failure, Overloaded | InferenceUnavailable)
            if not retried or not left or time.monotonic() + wait >= deadline:
                raise failure
            await asyncio.sleep(wait)
            pause, left = pause * 2, left - 1

    def _refusal(self, response: httpx.Response, content: bytes) -> InferenceError:
        status = response.status_code
        said = f"{self._base} answered {status}: {_message(content)}"
        if status == 429:
            return Overloaded(said, retry_after=_retry_after(response.headers.get("retry-after")))
        if status in {401, 403}:
            return InferenceError(said, code="unauthorised")
        if status == 404:
            return ModelNotLoaded(said, code="model_not_found")
        if status >= 500 or status < 400:
            return InferenceUnavailable(said)
        return InferenceError(said, code="bad_request")

    def _broken(self, error: httpx.HTTPError) -> InferenceError:
        if isinstance(error, httpx.TimeoutException):
            return DeadlineExceeded(f"{self._base}: no answer in {self._timeout:g} s")
        return InferenceUnavailable(f"{self._base}: {error or type(error).__name__}")

    def _not_protocol(self, expected: str) -> InferenceUnavailable:
        return InferenceUnavailable(
            f"{self._base}: the answer is not {expected}; is this the address of an OpenAI-compatible server, "
            "with its /v1?"
        )


def _chat_options(options: GenerationOptions) -> dict[str, Any]:
    """The options in OpenAI's words; what that protocol does not know, servers such as vLLM and Ollama take under
    the same names."""
    given: dict[str, Any] = {
        "max_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "repetition_penalty": options.repetition_penalty,
        "seed": options.seed,
        "stop": list(options.stop) or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _vector(embedding: Any) -> np.ndarray:
    """Numbers, or base64 of little-endian float32."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
    return np.asarray(embedding, dtype=np.float32)


async def _events(response: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
    """The data of server-sent events until "[DONE]". Raises InferenceError for an event that is an error."""
    async for line in response.aiter_lines():
        if len(line) > _MAX_LINE:
            raise ValueError("a line of the answer is too long")
        field, _, value = line.partition(":")
        if field != "data":
            continue
        if value.strip() == "[DONE]":
            return
        event = json.loads(value)
        if not isinstance(event, dict):
            raise TypeError("an event that is no object")
        if event.get("error"):
            raise InferenceUnavailable(f"the server gave up: {_message(value.encode())}")
        yield event


async def _next(events: AsyncGenerator[dict[str, Any]], deadline: float) -> dict[str, Any] | None:
    async with asyncio.timeout_at(_loop_time(deadline)):
        return await anext(events, None)


async def _limited(response: httpx.Response) -> bytes:
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > _MAX_BYTES:
            raise ValueError("the answer is too long")
    return bytes(content)


def _message(content: bytes) -> str:
    """The message of an error body, in whichever of the usual shapes it comes."""
    try:
        body = json.loads(content)
        error = body.get("error", body)
        said = error if isinstance(error, str) else error.get("message") or error.get("detail")
    except (ValueError, AttributeError):
        said = None
    text = said if isinstance(said, str) else content.decode("utf-8", "replace")
    return " ".join(text.split())[:300] or "nothing more was said"


def _retry_after(header: str | None) -> float:
    return min(float(header), 600.0) if header and header.isdigit() else 1.0


def _loop_time(deadline: float) -> float:
    """A time of time.monotonic as the event loop's clock has it."""
    return asyncio.get_running_loop().time() + deadline - time.monotonic()
