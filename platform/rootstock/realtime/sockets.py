"""What every socket of numbered events does: subscriptions to streams, each delivered in order without gap or repeat.

The protocol is in docs/events.md. Pointers of the channel layer only wake the socket; the events come from
PostgreSQL. One task a socket sends, and it waits for a slow client before it reads on, so a socket never holds
more than a page of events. Whatever was not pointed at is found by one poll for all sockets of the process
(`polling`); an idle socket asks the database for nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db.utils import Error as DatabaseError
from redis.exceptions import RedisError

from rootstock.realtime.polling import poll_of
from rootstock.realtime.selectors import heads
from rootstock.realtime.streams import group_name
from rootstock.realtime.tail import tail_of
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

SEND_SECONDS = 30.0
# how long Redis may take to note who listens; without it, events are found by polling
GROUP_SECONDS = 5.0
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


class StreamConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """A socket to which streams of one organisation are sent; who may listen to which is a subclass's to say."""

    organisation_id: uuid.UUID

    # --- what a subclass says --------------------------------------------------------------------

    async def readable(self, stream: Any) -> str:
        """The name of a stream that this client may read.

        Raises:
            Refused: there is none, or not for them.
        """
        raise NotImplementedError

    async def still_allowed(self) -> bool:
        """Whether the client may go on; closes the socket where not."""
        raise NotImplementedError

    def recheck_seconds(self) -> float:
        """After how long that is asked again."""
        raise NotImplementedError

    async def obey(self, frame: dict[str, Any]) -> None:
        """Do what a frame asks for.

        Raises:
            Refused: nobody understands it.
        """
        match frame.get("action"):
            case "ping":
                await self.say({"type": "pong"})
            case "subscribe":
                await self._subscribe(await self.readable(frame.get("stream")), _number(frame))
            case "unsubscribe":
                await self._unsubscribe(frame.get("stream"))
            case _:
                raise Refused("unknown-action", "Actions are subscribe, unsubscribe and ping.")

    # --- the life of a socket --------------------------------------------------------------------

    async def __call__(self, *arguments: Any) -> None:
        """Serve the socket; however it ends, nothing of it is left running."""
        self.subscriptions: dict[str, Subscription] = {}
        self.errors = 0
        self.wake = asyncio.Event()
        self.pump: asyncio.Task[None] | None = None
        try:
            await super().__call__(*arguments)
        finally:
            if self.pump is not None:
                self.pump.cancel()
            for stream in self.subscriptions:
                poll_of().discard(self.organisation_id, stream, self._advanced)

    async def connect(self) -> None:
        """Accept; a subclass calls `listen` once it knows who is there."""
        await self.accept()

    def listen(self, organisation_id: uuid.UUID) -> None:
        """From now on streams of this organisation are sent."""
        self.organisation_id = organisation_id
        if self.pump is None:
            self.pump = asyncio.create_task(self._pump())

    async def disconnect(self, code: int) -> None:
        """Hear no more pointers."""
        for stream in list(self.subscriptions):
            await self.leave(stream)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame of the client."""
        try:
            await self.obey(_frame(text_data))
        except Refused as refused:
            await self.error(refused.code, refused.detail)
            self.errors += 1
            if self.errors >= MAX_ERRORS:
                await self.close(code=TOO_MANY_ERRORS)

    async def stream_advanced(self, message: dict[str, Any]) -> None:
        """A pointer: there is something to read, up to the number it names."""
        self._advanced(str(message.get("stream")), int(message.get("head", 0)))

    def _advanced(self, stream: str, head: int) -> None:
        subscription = self.subscriptions.get(stream)
        if subscription is not None:
            subscription.head = max(subscription.head, head)
            if subscription.head > subscription.sent:
                self.wake.set()

    # --- subscriptions ---------------------------------------------------------------------------

    async def _subscribe(self, stream: str, last: int | None) -> None:
        if stream not in self.subscriptions and len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Refused("too-many", f"A socket has at most {MAX_SUBSCRIPTIONS} subscriptions.")
        self.subscriptions.pop(stream, None)
        # The group first, the head after it: what is appended in between is in the head or has its pointer here.
        try:
            async with asyncio.timeout(GROUP_SECONDS):
                await self.channel_layer.group_add(
                    group_name(self.organisation_id, stream), self.channel_name
                )
        except (RedisError, OSError) as error:
            logger.warning("no pointers for %s, polling only: %r", stream, error)
        head = await self._head(stream)
        start = head if last is None else last
        await self.say({"type": "subscribed", "stream": stream, "last_event_id": start})
        self.subscriptions[stream] = Subscription(stream, start, max(head, start))
        poll_of().add(self.organisation_id, stream, self._advanced)
        if start > head:
            await self._reset(self.subscriptions[stream], head)
        self.wake.set()

    async def _unsubscribe(self, stream: Any) -> None:
        if not isinstance(stream, str) or stream not in self.subscriptions:
            raise Refused("unknown-stream", "There is no such subscription.")
        await self.leave(stream)
        await self.say({"type": "unsubscribed", "stream": stream})

    async def leave(self, stream: str) -> None:
        """Send nothing more of a stream."""
        self.subscriptions.pop(stream, None)
        poll_of().discard(self.organisation_id, stream, self._advanced)
        group = group_name(self.organisation_id, stream)
        try:
            async with asyncio.timeout(GROUP_SECONDS):
                await self.channel_layer.group_discard(group, self.channel_name)
        except (RedisError, OSError):
            logger.info("group %s not left; it forgets by itself", group)

    # --- sending -------------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Send what is new whenever woken, and ask again from time to time who is listening."""
        checked = time.monotonic()
        try:
            while True:
                left = checked + self.recheck_seconds() - time.monotonic()
                if left <= 0:
                    checked = time.monotonic()
                    if not await self.still_allowed():
                        return
                    continue
                try:
                    async with asyncio.timeout(left):
                        await self.wake.wait()
                except TimeoutError:
                    continue
                self.wake.clear()
                await self._send_new()
        except TimeoutError:
            logger.info("a socket took nothing for %s s and is closed", SEND_SECONDS)
            await self.close(code=TOO_SLOW)
        except Exception:
            # Without its pump a socket would look alive and be silent: close it, the client comes back.
            logger.exception("a socket is closed")
            await self.close(code=1011)

    async def _send_new(self) -> None:
        """A page of each stream in turn until all are sent: a long replay of one does not hold up the others."""
        behind = True
        while behind:
            behind = False
            for subscription in list(self.subscriptions.values()):
                if subscription.head <= subscription.sent:
                    continue
                tail = tail_of(self.organisation_id, subscription.stream)
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
            await self.say({"type": "reset", "stream": subscription.stream, "last_event_id": head})

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self.send(text_data=text)

    async def say(self, frame: dict[str, Any]) -> None:
        """Send a frame of the moment."""
        await self._send(json.dumps(frame))

    async def error(self, code: str, detail: str) -> None:
        """Say what is wrong."""
        await self.say({"type": "error", "code": code, "detail": detail})

    async def _head(self, stream: str) -> int:
        organisation_id = self.organisation_id

        def read() -> int:
            with organisation_scope(organisation_id):
                return heads([stream])[stream]

        return int(await database_sync_to_async(read, thread_sensitive=False)())


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
