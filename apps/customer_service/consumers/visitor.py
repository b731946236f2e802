"""/ws/service/: the socket of a visitor. Streams of their own conversations, and who types; see the protocol's page.

The first frame is {"action": "authenticate", "token": …}. Nobody else's stream can be had with the token, whatever is
asked for, and of what agents tell each other through the channel layer a visitor hears only that somebody types.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
import uuid
from typing import Any

from channels.db import database_sync_to_async
from channels.exceptions import ChannelFull
from django.conf import settings
from django.db.utils import Error as DatabaseError
from django.http.request import validate_host
from django.utils import timezone
from redis.exceptions import RedisError

from apps.customer_service.consumers.groups import TYPING, talk_group
from apps.customer_service.models import Channel, Conversation, Visitor
from apps.customer_service.selectors.conversations import FAMILY
from apps.customer_service.selectors.origins import origin_allowed
from apps.customer_service.services.visitors import TokenRefused, VisitorToken, token_read
from rootstock.common.ids import uuid_of
from rootstock.common.throttling import count
from rootstock.realtime.sockets import NOT_SIGNED_IN, Refused, StreamConsumer
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

# So long a socket may stay silent before it says who it is.
HELLO_SECONDS = 10.0
# A channel that is switched off, or a visitor that is erased, counts after so long.
RECHECK_SECONDS = 300.0
TYPING_SECONDS = 1.0
# Frames in ten seconds.
MOST_FRAMES = 60
TOO_MANY_FRAMES = 4429
NOT_ALLOWED = 4403


class VisitorConsumer(StreamConsumer):
    """One open socket of a widget, or of a client that somebody else has built."""

    async def connect(self) -> None:
        """Accept, and wait a moment for the token."""
        self.token: VisitorToken | None = None
        self.typed = self.counted_since = 0.0
        self.frames = 0
        await super().connect()
        self.patience = asyncio.get_running_loop().call_later(
            HELLO_SECONDS, lambda: asyncio.ensure_future(self._lose_patience())
        )

    async def disconnect(self, code: int) -> None:
        """Leave the groups."""
        self.patience.cancel()
        await super().disconnect(code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame; too many of them end the socket."""
        now = time.monotonic()
        if now - self.counted_since > 10:
            self.counted_since, self.frames = now, 0
        self.frames += 1
        if self.frames > MOST_FRAMES:
            await self.error("too-many-frames", "Too many frames at once. Come back later.")
            await self.close(code=TOO_MANY_FRAMES)
            return
        await super().receive(text_data, bytes_data)

    async def obey(self, frame: dict[str, Any]) -> None:
        """What a visitor may ask for."""
        match frame.get("action"):
            case "authenticate":
                await self._authenticate(frame.get("token"))
            case "typing":
                await self._type(self._stream_of(frame.get("conversation")))
            case _:
                await super().obey(frame)

    async def readable(self, stream: Any) -> str:
        """The stream of a conversation of this visitor."""
        token = self._known()
        conversation = _conversation_of(stream)
        if conversation is None or not await _ask(_is_of, token, conversation):
            raise Refused("unknown-stream", "You have no such conversation.")
        # Only a conversation that was just found to be theirs is heard of.
        await self._talk("group_add", conversation)
        return str(stream)

    async def leave(self, stream: str) -> None:
        """Hear nothing more of a conversation."""
        await super().leave(stream)
        conversation = _conversation_of(stream)
        if conversation is not None:
            await self._talk("group_discard", conversation)

    def recheck_seconds(self) -> float:
        """At the token's end at the latest."""
        left = (self._known().expires_at - timezone.now()).total_seconds()
        return max(0.0, min(RECHECK_SECONDS, left))

    async def still_allowed(self) -> bool:
        """Close the socket when the token has ended, or what it was given for is gone."""
        token = self._known()
        try:
            if token.expires_at > timezone.now() and not await _ask(
                _problem, token, *self._origin()
            ):
                return True
        except DatabaseError:
            logger.warning("the database is away", exc_info=True)
            return True
        await self._turn_away(
            "signed-out", "The token is no longer good: begin a session.", NOT_SIGNED_IN
        )
        return False

    async def talk_typing(self, message: dict[str, Any]) -> None:
        """Somebody types; who it is the visitor knows from the conversation's status."""
        if message["side"] == "people":
            await self.say({"type": "typing", "conversation": message["conversation"]})

    async def talk_presence(self, message: dict[str, Any]) -> None:
        """Agents come and go: nothing for visitors."""

    # --- who it is -----------------------------------------------------------------------------

    async def _authenticate(self, given: Any) -> None:
        try:
            token = token_read(given if isinstance(given, str) else "")
        except TokenRefused:
            await self._turn_away("signed-out", "The token is not good.", NOT_SIGNED_IN)
            return
        if self.token is not None and self.token.visitor_id != token.visitor_id:
            raise Refused("not-allowed", "A socket stays with its visitor.")
        left, _wait = await asyncio.to_thread(
            count,
            f"service:socket:{self._address()}",
            limit=settings.ROOTSTOCK_WIDGET_IP_LIMIT,
            seconds=60,
        )
        if left < 0:
            await self._turn_away("too-many", "Too many sockets. Come back later.", TOO_MANY_FRAMES)
            return
        problem = await _ask(_problem, token, *self._origin())
        if problem is not None:
            code = NOT_ALLOWED if problem == "origin-not-allowed" else NOT_SIGNED_IN
            await self._turn_away(problem, "This socket is not for you.", code)
            return
        self.patience.cancel()
        self.token = token
        await self.say({"type": "authenticated", "expires_at": token.expires_at.isoformat()})
        self.listen(token.organisation_id)

    def _known(self) -> VisitorToken:
        if self.token is None:
            raise Refused("not-authenticated", "The first frame is authenticate, with a token.")
        return self.token

    async def _lose_patience(self) -> None:
        await self._turn_away("signed-out", "No token came.", NOT_SIGNED_IN)

    async def _turn_away(self, code: str, detail: str, close: int) -> None:
        await self.error(code, detail)
        await self.close(code=close)

    def _origin(self) -> tuple[str, str]:
        """(Origin, our own host if the request names one of ours)."""
        headers = {name: value.decode("latin-1") for name, value in self.scope["headers"]}
        host = headers.get(b"host", "")
        ours = validate_host(host.rpartition(":")[0] or host, settings.ALLOWED_HOSTS)
        return headers.get(b"origin", ""), host if ours else ""

    def _address(self) -> str:
        address = (self.scope.get("client") or ["local"])[0]
        try:
            known = ipaddress.ip_address(address)
        except ValueError:
            return "local"
        return str(known if known.version == 4 else ipaddress.ip_network(f"{known}/64", False)[0])

    # --- what is of the moment -------------------------------------------------------------------

    def _stream_of(self, conversation: Any) -> uuid.UUID:
        found = uuid_of(conversation)
        if found is None or f"{FAMILY}{found.hex}" not in self.subscriptions:
            raise Refused("unknown-stream", "Subscribe to the conversation first.")
        return found

    async def _type(self, conversation: uuid.UUID) -> None:
        now = time.monotonic()
        if now - self.typed < TYPING_SECONDS:
            return
        self.typed = now
        message = {
            "type": TYPING,
            "conversation": str(conversation),
            "side": "visitor",
            "member": None,
            "name": "",
        }
        try:
            group = talk_group(self.organisation_id, conversation)
            await self.channel_layer.group_send(group, message)
        except (RedisError, OSError, ChannelFull):
            logger.info("nobody hears that somebody types")

    async def _talk(self, act: str, conversation: uuid.UUID) -> None:
        group = talk_group(self._known().organisation_id, conversation)
        try:
            await getattr(self.channel_layer, act)(group, self.channel_name)
        except (RedisError, OSError):
            logger.info("%s of %s failed", act, group)


async def _ask(read: Any, *arguments: Any) -> Any:
    return await database_sync_to_async(read, thread_sensitive=False)(*arguments)


def _problem(token: VisitorToken, origin: str, host: str) -> str | None:
    """Why the token opens nothing from here; None when it does."""
    with organisation_scope(token.organisation_id):
        channel = Channel.objects.filter(pk=token.channel_id, enabled=True).first()
        if channel is None or not Visitor.objects.filter(pk=token.visitor_id).exists():
            return "signed-out"
        if not origin_allowed(origin, host=host, origins=channel.origins):
            return "origin-not-allowed"
    return None


def _is_of(token: VisitorToken, conversation: uuid.UUID) -> bool:
    with organisation_scope(token.organisation_id):
        return Conversation.objects.filter(pk=conversation, visitor=token.visitor_id).exists()


def _conversation_of(stream: Any) -> uuid.UUID | None:
    if not isinstance(stream, str) or not stream.startswith(FAMILY):
        return None
    found = uuid_of(stream.removeprefix(FAMILY))
    return found if found is not None and stream == f"{FAMILY}{found.hex}" else None
