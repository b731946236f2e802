"""The socket of a page: subscriptions to streams, each delivered in order without gap or repeat.

The protocol is in docs/events.md. Pointers of the channel layer only wake the socket; the events come from
PostgreSQL. One task a socket sends, and it waits for a slow client before it reads on, so a socket never holds
more than a page of events.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from dataclasses import dataclass
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db.utils import Error as DatabaseError
from redis.exceptions import RedisError

from rootstock.realtime.access import Access, access_of
from rootstock.realtime.selectors import heads
from rootstock.realtime.streams import UnknownStream, group_name, permission_of
from rootstock.realtime.tail import tail_of
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
ACCESS_SECONDS = 15.0
SEND_SECONDS = 30.0
MAX_SUBSCRIPTIONS = 32
MAX_FRAME = 4096
# frames that may be understood wrongly before the socket is closed
MAX_ERRORS = 50

NOT_SIGNED_IN = 4401
TOO_MANY_ERRORS = 4400
TOO_SLOW = 4408


class Refused(Exception):
    """A frame that asks for something it cannot have."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass
class Subscription:
    """One stream on this socket: `sent` is the last number sent, `head` the highest known to be there."""

    stream: str
    sent: int
    head: int


class EventConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One open socket at /ws/events/."""

    access: Access

    async def connect(self) -> None:
        """Accept a signed-in member; others are told why and closed, so that the browser does not try again."""
        self.subscriptions: dict[str, Subscription] = {}
        self.signed_in = False
        self.errors = 0
        self.wake = asyncio.Event()
        self.pump: asyncio.Task[None] | None = None
        session = self.scope.get("session")
        self.session_key: str | None = await asyncio.to_thread(
            lambda: getattr(session, "session_key", None)
        )
        access = await self._now_allowed(None)
        await self.accept()
        if access is None:
            await self._error("signed-out", "Sign in to listen to events.")
            await self.close(code=NOT_SIGNED_IN)
            return
        self.access = access
        self.signed_in = True
        self.pump = asyncio.create_task(self._pump())

    async def disconnect(self, code: int) -> None:
        """Leave nothing running."""
        if self.pump is not None:
            self.pump.cancel()
        for stream in list(self.subscriptions):
            await self._leave(stream)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame of the client."""
        if not self.signed_in:
            return
        try:
            await self._obey(_frame(text_data))
        except Refused as refused:
            await self._error(refused.code, refused.detail)
            self.errors += 1
            if self.errors >= MAX_ERRORS:
                await self.close(code=TOO_MANY_ERRORS)

    async def stream_advanced(self, message: dict[str, Any]) -> None:
        """A pointer: there is something to read, up to the number it names."""
        subscription = self.subscriptions.get(str(message.get("stream")))
        if subscription is not None:
            subscription.head = max(subscription.head, int(message.get("head", 0)))
            self.wake.set()

    # --- what a client may ask -----------------------------------------------------------------

    async def _obey(self, frame: dict[str, Any]) -> None:
        match frame.get("action"):
            case "ping":
                await self._send(json.dumps({"type": "pong"}))
            case "subscribe":
                await self._subscribe(self._readable(frame.get("stream")), _number(frame))
            case "unsubscribe":
                await self._unsubscribe(frame.get("stream"))
            case _:
                raise Refused("unknown-action", "Actions are subscribe, unsubscribe and ping.")

    def _readable(self, stream: Any) -> str:
        try:
            permission = permission_of(stream)
        except UnknownStream:
            raise Refused("unknown-stream", f"There is no stream {str(stream)[:60]!r}.") from None
        if permission not in self.access.granted:
            raise Refused("not-allowed", f"The stream {stream} needs the permission {permission}.")
        if stream not in self.subscriptions and len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Refused("too-many", f"A socket has at most {MAX_SUBSCRIPTIONS} subscriptions.")
        return str(stream)

    async def _subscribe(self, stream: str, last: int | None) -> None:
        self.subscriptions.pop(stream, None)
        # The group first, the head after it: what is appended in between is in the head or has its pointer here.
        try:
            await self.channel_layer.group_add(
                group_name(self.access.organisation_id, stream), self.channel_name
            )
        except (RedisError, OSError) as error:
            logger.warning("no pointers for %s, polling only: %r", stream, error)
        head = (await self._heads([stream]))[stream]
        start = head if last is None else last
        await self._send(
            json.dumps({"type": "subscribed", "stream": stream, "last_event_id": start})
        )
        self.subscriptions[stream] = Subscription(stream, start, max(head, start))
        if start > head:
            await self._reset(self.subscriptions[stream], head)
        self.wake.set()

    async def _unsubscribe(self, stream: Any) -> None:
        if not isinstance(stream, str) or stream not in self.subscriptions:
            raise Refused("unknown-stream", "There is no such subscription.")
        await self._leave(stream)
        await self._send(json.dumps({"type": "unsubscribed", "stream": stream}))

    async def _leave(self, stream: str) -> None:
        self.subscriptions.pop(stream, None)
        group = group_name(self.access.organisation_id, stream)
        try:
            await self.channel_layer.group_discard(group, self.channel_name)
        except (RedisError, OSError):
            logger.info("group %s not left; it forgets by itself", group)

    # --- sending -------------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Send what is new whenever woken, look for it every few seconds, and ask again who is listening."""
        checked = polled = time.monotonic()
        try:
            while True:
                # spread, so that the sockets of a process do not all ask at once
                wait = POLL_SECONDS * random.uniform(0.8, 1.0)
                try:
                    await asyncio.wait_for(
                        self.wake.wait(), max(0.0, polled + wait - time.monotonic())
                    )
                except TimeoutError:
                    polled = time.monotonic()
                    await self._poll()
                self.wake.clear()
                if time.monotonic() - checked >= ACCESS_SECONDS:
                    checked = time.monotonic()
                    if not await self._still_allowed():
                        return
                await self._send_new()
        except TimeoutError:
            logger.info("a socket took nothing for %s s and is closed", SEND_SECONDS)
            await self.close(code=TOO_SLOW)
        except Exception:
            # Without its pump a socket would look alive and be silent: close it, the client comes back.
            logger.exception("a socket is closed")
            await self.close(code=1011)

    async def _poll(self) -> None:
        if not self.subscriptions:
            return
        try:
            found = await self._heads(list(self.subscriptions))
        except DatabaseError:
            logger.warning("the database is away", exc_info=True)
            return
        for name, head in found.items():
            subscription = self.subscriptions.get(name)
            if subscription is not None:
                subscription.head = max(subscription.head, head)

    async def _send_new(self) -> None:
        """A page of each stream in turn until all are sent: a long replay of one does not hold up the others."""
        behind = True
        while behind:
            behind = False
            for subscription in list(self.subscriptions.values()):
                if subscription.head <= subscription.sent:
                    continue
                tail = tail_of(self.access.organisation_id, subscription.stream)
                try:
                    frames = await tail.after(subscription.sent, subscription.head)
                except DatabaseError:
                    logger.warning("the database is away", exc_info=True)
                    return
                for number, text in enumerate(frames.texts, start=subscription.sent + 1):
                    if self.subscriptions.get(subscription.stream) is not subscription:
                        break
                    await self._send(text)
                    subscription.sent = number
                if frames.reset:
                    await self._reset(subscription, frames.last)
                behind = behind or subscription.sent < subscription.head

    async def _reset(self, subscription: Subscription, head: int) -> None:
        if self.subscriptions.get(subscription.stream) is subscription:
            subscription.sent = subscription.head = head
            await self._send(
                json.dumps({"type": "reset", "stream": subscription.stream, "last_event_id": head})
            )

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self.send(text_data=text)

    async def _error(self, code: str, detail: str) -> None:
        await self._send(json.dumps({"type": "error", "code": code, "detail": detail}))

    # --- the database, each time in a short scope of its own ---------------------------------------

    async def _heads(self, streams: list[str]) -> dict[str, int]:
        organisation_id = self.access.organisation_id

        def read() -> dict[str, int]:
            with organisation_scope(organisation_id):
                return heads(streams)

        return dict(await database_sync_to_async(read, thread_sensitive=False)())

    async def _now_allowed(self, organisation_id: Any) -> Access | None:
        ask = database_sync_to_async(access_of, thread_sensitive=False)
        found: Access | None = await ask(self.session_key, organisation_id)
        return found

    async def _still_allowed(self) -> bool:
        """Close the socket of whoever has signed out or left; drop streams that a new role may not read."""
        try:
            access = await self._now_allowed(self.access.organisation_id)
        except DatabaseError:
            logger.warning("the database is away", exc_info=True)
            return True
        if access is None or access.user_id != self.access.user_id:
            await self._error("signed-out", "You were signed out, or are no longer a member.")
            await self.close(code=NOT_SIGNED_IN)
            return False
        self.access = access
        for stream in list(self.subscriptions):
            if permission_of(stream) not in access.granted:
                await self._leave(stream)
                await self._error("not-allowed", f"You may no longer read the stream {stream}.")
        return True


def _frame(text: str | None) -> dict[str, Any]:
    """The object in a frame of the client."""
    if text is None:
        raise Refused("malformed", "Frames are text.")
    if len(text) > MAX_FRAME:
        raise Refused("too-large", f"A frame has at most {MAX_FRAME} characters.")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("malformed", "The frame is not JSON.") from None
    if not isinstance(frame, dict):
        raise Refused("malformed", "The frame is not a JSON object.")
    return frame


def _number(frame: dict[str, Any]) -> int | None:
    """The number of the last event that the client has."""
    last = frame.get("last_event_id")
    if last is None:
        return None
    if not isinstance(last, int) or isinstance(last, bool) or not 0 <= last < 2**63:
        raise Refused("malformed", "last_event_id is a whole number from 0, or null.")
    return last
