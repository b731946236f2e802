"""Remote servers that speak OpenAI's protocol: answers, streams, what goes wrong and what is tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ml_core.serving import (
    DeadlineExceeded,
    GenerationOptions,
    InferenceError,
    InferenceUnavailable,
    ModelNotLoaded,
    Overloaded,
    Piece,
    RemoteServer,
)
from tests.openai_server import KEY, OpenAiServer, openai_server

TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好 world"}]


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    with openai_server() as running:
        yield running


def client(server: OpenAiServer, **options: Any) -> RemoteServer:
    return RemoteServer(server.url, **{"api_key": KEY, "timeout": 10.0} | options)


async def said(remote: RemoteServer, model: str = "echo", **options: Any) -> list[Piece]:
    return [piece async for piece in remote.chat(model, TURNS, GenerationOptions(**options))]


async def test_chat_comes_piece_by_piece(server) -> None:
    async with client(server) as remote:
        assert await remote.models() == ["echo"]
        pieces = await said(remote, max_new_tokens=9, temperature=0.5, stop=("x",), seed=1)
    assert "".join(piece.text for piece in pieces) == "dlrow 好你"
    assert len(pieces) > 3
    assert pieces[-1] == Piece("", "stop", 3, 5)
    asked = server.seen[-1]["body"]
    assert asked["messages"] == TURNS
    wanted = {"max_tokens": 9, "temperature": 0.5, "stop": ["x"], "seed": 1, "stream": True}
    assert wanted.items() <= asked.items()


@pytest.mark.parametrize("packed", [False, True])
async def test_embeddings_are_in_order_in_either_encoding(server, packed) -> None:
    server.base64 = packed
    async with client(server) as remote:
        found = await remote.embed("echo", ["a", "abc"])
        short = await remote.embed("echo", ["a"], dimensions=2)
    np.testing.assert_array_equal(found.vectors, [[1, 1, 0, -2], [3, 1, 0, -2]])
    assert found.vectors.dtype == np.float32
    assert (found.prompt_tokens, short.vectors.shape) == (7, (1, 2))


async def test_what_may_pass_is_tried_again(server) -> None:
    async with client(server) as remote:
        server.failures = [503, 429]
        assert (await said(remote))[-1].done
        assert len(server.seen) == 3
        server.failures = [503, 503, 503]
        with pytest.raises(InferenceUnavailable, match="503: told to fail"):
            await said(remote)
        server.failures = [429] * 3
        with pytest.raises(Overloaded):
            await remote.embed("echo", ["a"])
        server.seen.clear()
        server.failures = [400]
        with pytest.raises(InferenceError, match="told to fail with 400") as refused:
            await said(remote)
        assert refused.value.code == "bad_request"
        assert len(server.seen) == 1


async def test_errors_say_what_is_wrong_and_never_the_key(server) -> None:
    async with client(server, api_key="sk-wrong") as remote:
        with pytest.raises(InferenceError, match="Incorrect API key") as refused:
            await remote.models()
        assert refused.value.code == "unauthorised"
        assert "sk-wrong" not in str(refused.value)
    async with client(server) as remote:
        with pytest.raises(ModelNotLoaded, match="'nothing' does not exist"):
            await said(remote, "nothing")
        server.nonsense = True
        with pytest.raises(InferenceUnavailable, match="not a list of models"):
            await remote.models()
        with pytest.raises(InferenceUnavailable, match="not embeddings"):
            await remote.embed("echo", ["a"])
        with pytest.raises(InferenceUnavailable, match="broke off"):
            await said(remote)
    async with RemoteServer("http://127.0.0.1:1/v1", retries=1, timeout=5) as remote:
        with pytest.raises(InferenceUnavailable, match=r"127\.0\.0\.1:1"):
            await remote.models()


async def test_a_stream_that_breaks_off_or_takes_too_long(server) -> None:
    server.break_off = True
    async with client(server) as remote:
        with pytest.raises(InferenceUnavailable, match="broke off"):
            await said(remote)
    server.break_off, server.piece_seconds = False, 0.4
    async with client(server, timeout=0.8) as remote:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await said(remote)
        assert time.monotonic() - began < 5


async def test_closing_the_reply_closes_the_connection(server) -> None:
    server.piece_seconds = 0.1
    async with client(server) as remote:
        pieces = remote.chat("echo", [{"role": "user", "content": "x" * 200}])
        assert (await anext(pieces)).text
        await pieces.aclose()
    assert await asyncio.to_thread(server.hung_up.wait, 10)
