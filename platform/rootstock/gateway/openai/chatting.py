"""A reply as a chat completion, whole or as server-sent events."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator
from typing import Any

from django.http import JsonResponse, StreamingHttpResponse

from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem
from rootstock.gateway import background
from rootstock.gateway.inference import Piece, problem_of
from rootstock.gateway.openai.errors import error_body
from rootstock.gateway.openai.wire import usage_body

logger = logging.getLogger(__name__)


class Completion:
    """The frame that all parts of one answer share."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._id = f"chatcmpl-{uuid7().hex}"
        self._created = int(time.time())

    def whole(self, stream: background.Stream[Piece]) -> JsonResponse:
        """The whole reply at once.

        Raises:
            Problem: it broke off.
        """
        pieces = background.run(_collect(stream))
        last = pieces[-1]
        message = {"role": "assistant", "content": "".join(piece.text for piece in pieces)}
        return JsonResponse(
            {
                **self._frame("chat.completion"),
                "choices": [
                    {
                        "index": 0,
                        "message": message,
                        "finish_reason": last.finish_reason,
                        "logprobs": None,
                    }
                ],
                "usage": usage_body(last.prompt_tokens, last.completion_tokens),
            }
        )

    def streamed(
        self, stream: background.Stream[Piece], *, include_usage: bool
    ) -> StreamingHttpResponse:
        """The reply as it is written, ended by "[DONE]"; a failure in the middle is an event with an error."""
        response = StreamingHttpResponse(
            self._events(stream, include_usage=include_usage), content_type="text/event-stream"
        )
        response["Cache-Control"] = "no-store"
        # Proxies of nginx's kind would wait for the end.
        response["X-Accel-Buffering"] = "no"
        return response

    async def _events(
        self, stream: background.Stream[Piece], *, include_usage: bool
    ) -> AsyncGenerator[bytes]:
        yield self._event({"role": "assistant", "content": ""}, None)
        try:
            async for piece in stream:
                if piece.text:
                    yield self._event({"content": piece.text}, None)
                if piece.done:
                    yield self._event({}, piece.finish_reason)
                    if include_usage:
                        usage = usage_body(piece.prompt_tokens, piece.completion_tokens)
                        yield _data(
                            {**self._frame("chat.completion.chunk"), "choices": [], "usage": usage}
                        )
        except Exception as error:
            # The status has been sent: this is the only way to tell.
            problem = problem_of(error)
            logger.warning("a reply of %s broke off: %s", self._model, error)
            yield _data(error_body(problem.status_code, problem.code, str(problem.detail)))
        yield b"data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _data({**self._frame("chat.completion.chunk"), "choices": [choice]})

    def _frame(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}


async def _collect(stream: background.Stream[Piece]) -> list[Piece]:
    try:
        return [piece async for piece in stream]
    except Exception as error:
        problem: Problem = problem_of(error)
        raise problem from error


def _data(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
