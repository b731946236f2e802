"""Asynchronous clients for the threads of requests: one event loop of the process, in a thread of its own.

A request's thread asks for the first piece of a reply, so that what fails at once has its own status; the server's
loop then takes the others as they come. Both only wait for this loop, which owns every connection.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from functools import lru_cache
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="gateway-loop", daemon=True).start()
    return loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, waited for; what limits its time is its own deadline."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


class Stream(Generic[T]):
    """The pieces of a generator that lives in the background loop; ``first`` from a thread, then iterate in any
    loop."""

    def __init__(self, pieces: AsyncGenerator[T]) -> None:
        self._pieces = pieces
        self._first: list[T] = []

    def first(self) -> None:
        """Wait for the first piece, which is kept for whoever iterates. Raises what the generator raises."""
        self._first = [run(self._next())]

    async def __aiter__(self) -> AsyncGenerator[T]:
        try:
            for piece in self._first:
                yield piece
            while True:
                coming = asyncio.run_coroutine_threadsafe(self._next(), _loop())
                try:
                    yield await asyncio.wrap_future(coming)
                except _Ended:
                    return
        finally:
            asyncio.run_coroutine_threadsafe(self._pieces.aclose(), _loop())

    def __iter__(self) -> Iterator[T]:
        """The pieces for a thread that waits for each."""
        try:
            yield from self._first
            while True:
                try:
                    yield run(self._next())
                except _Ended:
                    return
        finally:
            run(self._pieces.aclose())

    async def _next(self) -> T:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            # A coroutine cannot raise that one.
            raise _Ended from None


class _Ended(Exception):
    """No more pieces."""
