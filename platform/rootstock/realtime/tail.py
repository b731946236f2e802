"""The newest events of a stream, read once for all sockets of this process.

Five hundred open dashboards that hear of a new event ask for the same rows: the first one reads them, the others find
them here, already as text. What is older than the tail is read from the database by whoever asks.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass

from channels.db import database_sync_to_async

from rootstock.realtime.selectors import PAGE, Page, page_after
from rootstock.tenancy.scope import organisation_scope

KEPT = 1000
TAILS = 256


@dataclass(frozen=True)
class Frames:
    """Event frames to send in order, and the number that leaves the reader at. `reset`: there is a gap before it."""

    texts: list[str]
    last: int
    reset: bool = False


class Tail:
    """The last frames of one stream of one organisation."""

    def __init__(self, organisation_id: uuid.UUID, stream: str) -> None:
        self._organisation_id = organisation_id
        self._stream = stream
        self._kept: deque[tuple[int, str]] = deque(maxlen=KEPT)
        self._lock = asyncio.Lock()

    async def after(self, number: int, head: int) -> Frames:
        """Up to a page of what follows event `number`, given that event `head` is there by now."""
        async with self._lock:
            if not self._kept or self._kept[-1][0] < head:
                start = self._kept[-1][0] if self._covers(number) else number
                frames = await self._read(start)
                if frames.reset:
                    self._kept.clear()
                    return frames
                if start > number and not self._covers(number):
                    return await self._read(number, keep=False)  # pushed out by what is newer
            if self._covers(number):
                texts = [text for event, text in self._kept if event > number][:PAGE]
                return Frames(texts, number + len(texts))
        return await self._read(number, keep=False)

    def _covers(self, number: int) -> bool:
        return bool(self._kept) and self._kept[0][0] - 1 <= number <= self._kept[-1][0]

    async def _read(self, number: int, *, keep: bool = True) -> Frames:
        page = await database_sync_to_async(self._page, thread_sensitive=False)(number)
        frames = [
            (event["id"], json.dumps(event, ensure_ascii=False, separators=(",", ":")))
            for event in page.events
        ]
        if keep and frames:
            if self._kept and frames[0][0] != self._kept[-1][0] + 1:
                self._kept.clear()
            self._kept.extend(frames)
        return Frames([text for _, text in frames], page.last, page.reset)

    def _page(self, number: int) -> Page:
        with organisation_scope(self._organisation_id):
            return page_after(self._stream, number)


_tails: OrderedDict[tuple[int, uuid.UUID, str], Tail] = OrderedDict()


def tail_of(organisation_id: uuid.UUID, stream: str) -> Tail:
    """The tail that all sockets of this event loop share; the least used one of many is forgotten."""
    key = (id(asyncio.get_running_loop()), organisation_id, stream)
    tail = _tails.pop(key, None) or Tail(organisation_id, stream)
    _tails[key] = tail
    while len(_tails) > TAILS:
        _tails.popitem(last=False)
    return tail
