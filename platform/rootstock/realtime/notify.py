"""Telling open sockets that a stream has advanced.

One background event loop a process sends the pointers, so that neither a request nor a task ever waits for Redis,
and a burst of events on a stream is one pointer. A pointer that is lost only delays: sockets look for themselves
every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import uuid

from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from rootstock.realtime.streams import group_name

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.02
SEND_SECONDS = 5.0


class _Sender:
    """The loop and the groups that wait to be told."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._waiting: dict[str, tuple[str, int]] = {}
        self._task: asyncio.Task[None] | None = None
        threading.Thread(target=self._loop.run_forever, name="realtime-notify", daemon=True).start()

    def tell(self, group: str, stream: str, head: int) -> None:
        """Never blocks, never raises."""
        self._loop.call_soon_threadsafe(self._add, group, stream, head)

    def _add(self, group: str, stream: str, head: int) -> None:
        known = self._waiting.get(group, (stream, 0))[1]
        self._waiting[group] = (stream, max(known, head))
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._send())

    async def _send(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER_SECONDS)
            groups, self._waiting = self._waiting, {}
            for group, (stream, head) in groups.items():
                pointer = {"type": "stream.advanced", "stream": stream, "head": head}
                try:
                    async with asyncio.timeout(SEND_SECONDS):
                        await get_channel_layer().group_send(group, pointer)
                except (RedisError, OSError, ChannelFull, TimeoutError) as error:
                    logger.warning("no pointer sent to %s: %r", group, error)


_sender: _Sender | None = None
_lock = threading.Lock()


def stream_advanced(organisation_id: uuid.UUID, stream: str, head: int) -> None:
    """Soon tell the sockets of the organisation that `stream` has reached number `head`. Fails soft."""
    global _sender  # noqa: PLW0603 - one sender a process, made when first needed (after a fork, too)
    with _lock:
        if _sender is None or _sender.pid != os.getpid():
            _sender = _Sender()
    _sender.tell(group_name(organisation_id, stream), stream, head)
