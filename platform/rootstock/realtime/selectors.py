"""Reading the event log by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rootstock.realtime.models import Event, Stream

PAGE = 500
# Whoever is further behind reloads the page's data instead: it is less work for everybody.
REPLAY_LIMIT = 20_000


@dataclass(frozen=True)
class Page:
    """Events after a number, in order. `reset`: they are no longer all there; go on from `last`."""

    events: list[dict[str, Any]]
    last: int
    reset: bool
    more: bool


def heads(streams: Iterable[str]) -> dict[str, int]:
    """The number of the last event of each stream, 0 before the first; inside a scope."""
    names = list(streams)
    found = dict(Stream.objects.filter(name__in=names).values_list("name", "sequence"))
    return {name: found.get(name, 0) for name in names}


def page_after(stream: str, after: int, *, limit: int = PAGE) -> Page:
    """Up to `limit` events that follow number `after`; inside a scope."""
    head = heads([stream])[stream]
    if after > head or after < 0 or head - after > REPLAY_LIMIT:
        return Page([], head, reset=True, more=False)
    rows = (
        Event.objects.filter(stream=stream, sequence__gt=after)
        .order_by("sequence")
        .values("sequence", "type", "payload", "created_at")[:limit]
    )
    events = [event_frame(stream, dict(row)) for row in rows]
    if head > after and (not events or events[0]["id"] != after + 1):
        return Page([], head, reset=True, more=False)
    last = events[-1]["id"] if events else after
    return Page(events, last, reset=False, more=last < head)


def event_frame(stream: str, row: dict[str, Any]) -> dict[str, Any]:
    """An event as sockets and REST show it."""
    return {
        "type": "event",
        "stream": stream,
        "id": row["sequence"],
        "event": row["type"],
        "data": row["payload"],
        "at": row["created_at"].isoformat(),
    }


def stream_head(stream: str) -> int:
    """The number of a stream's last event; read it in the transaction that reads what a page shows."""
    return heads([stream])[stream]


def stream_head_held(stream: str) -> int:
    """The same, and nobody appends until the transaction ends: what is read after it is what these events have told.

    For snapshots that a reader goes on from by applying events, where one that is applied twice would do harm.
    """
    held = Stream.objects.select_for_update().filter(name=stream)
    return held.values_list("sequence", flat=True).first() or 0
