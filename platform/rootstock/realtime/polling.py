"""One look at the heads of all streams that the sockets of this process listen to.

Pointers may be lost, so somebody has to look. A query a socket would be hundreds a second for a thousand idle ones;
this is one for each organisation every few seconds, however many listen.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db.utils import Error as DatabaseError

from rootstock.realtime.selectors import heads
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
# Names in one query.
BATCH = 1000

# Called with (stream, the number of its last event).
Listener = Callable[[str, int], None]


class Poll:
    """Who listens to which stream, on one event loop; it runs while anybody does."""

    def __init__(self) -> None:
        self._listeners: dict[uuid.UUID, dict[str, set[Listener]]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, organisation_id: uuid.UUID, stream: str, listener: Listener) -> None:
        """Tell `listener` the head of the stream every few seconds."""
        streams = self._listeners.setdefault(organisation_id, {})
        streams.setdefault(stream, set()).add(listener)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def discard(self, organisation_id: uuid.UUID, stream: str, listener: Listener) -> None:
        """Tell it no more."""
        streams = self._listeners.get(organisation_id, {})
        listeners = streams.get(stream, set())
        listeners.discard(listener)
        if not listeners:
            streams.pop(stream, None)
        if not streams:
            self._listeners.pop(organisation_id, None)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            # spread, so that the processes do not all ask at once
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.8, 1.0))
            for organisation_id in list(self._listeners):
                names = list(self._listeners.get(organisation_id, {}))
                for start in range(0, len(names), BATCH):
                    await self._look(organisation_id, names[start : start + BATCH])

    async def _look(self, organisation_id: uuid.UUID, names: list[str]) -> None:
        def read() -> dict[str, int]:
            with organisation_scope(organisation_id):
                return heads(names)

        try:
            found = await database_sync_to_async(read, thread_sensitive=False)()
        except DatabaseError:
            logger.warning("the database is away", exc_info=True)
            return
        for name, head in found.items():
            for listener in list(self._listeners.get(organisation_id, {}).get(name, ())):
                listener(name, head)


_polls: WeakKeyDictionary[asyncio.AbstractEventLoop, Poll] = WeakKeyDictionary()


def poll_of() -> Poll:
    """The poll that all sockets of this event loop share."""
    return _polls.setdefault(asyncio.get_running_loop(), Poll())
