"""/ws/service/desk/: which agents look at a conversation, and who types. Nothing of it is kept.

Client: {"action": "look", "conversation": id | null} when a conversation is opened, and every few seconds while it is;
{"action": "typing"}; {"action": "ping"}. Server: {"type": "presence", "conversation", "member", "name", "here"},
{"type": "typing", "conversation", "side", "member", "name"}, {"type": "pong"}. A page takes somebody for gone who has
not been heard of for a while, so a lost frame does no harm.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from typing import Any

from channels.db import database_sync_to_async
from channels.exceptions import ChannelFull
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db.utils import Error as DatabaseError
from redis.exceptions import RedisError

from apps.customer_service.consumers.groups import PRESENCE, TYPING, talk_group
from apps.customer_service.models import Conversation
from rootstock.common.ids import uuid_of
from rootstock.realtime.access import Access, access_of
from rootstock.tenancy.models import Membership
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

NOT_SIGNED_IN = 4401
NOT_ALLOWED = 4403
MAX_FRAME = 1024
ACCESS_SECONDS = 15.0
TYPING_SECONDS = 1.0


class DeskConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """An agent's page."""

    access: Access
    member: uuid.UUID
    name: str

    async def connect(self) -> None:
        """Accept a signed-in agent; others are told by the close code that coming back would not help."""
        self.looks_at: uuid.UUID | None = None
        self.typed = self.checked = 0.0
        self.signed_in = False
        session = self.scope.get("session")
        self.session_key: str | None = await asyncio.to_thread(
            lambda: getattr(session, "session_key", None)
        )
        await self.accept()
        self.signed_in = await self._still_allowed()

    async def disconnect(self, code: int) -> None:
        """Say that this page looks no more."""
        await self._look(None)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame of the page; one that makes no sense is ignored."""
        if not self.signed_in or text_data is None or len(text_data) > MAX_FRAME:
            return
        try:
            frame = json.loads(text_data)
        except (ValueError, RecursionError):
            return
        if not isinstance(frame, dict):
            return
        if time.monotonic() - self.checked > ACCESS_SECONDS and not await self._still_allowed():
            return
        match frame.get("action"):
            case "look":
                await self._look(uuid_of(frame.get("conversation")))
            case "typing":
                await self._type()
            case "ping":
                await self.send(json.dumps({"type": "pong"}))

    async def talk_presence(self, message: dict[str, Any]) -> None:
        """Another agent came, is still there, or went; whoever comes is answered."""
        if message["member"] == str(self.member):
            return
        kept = ("conversation", "member", "name", "here")
        await self.send(json.dumps({"type": "presence", **{name: message[name] for name in kept}}))
        if message["hello"]:
            await self._say(PRESENCE, here=True, hello=False)

    async def talk_typing(self, message: dict[str, Any]) -> None:
        """The customer, or another agent, types."""
        if message["member"] != str(self.member):
            await self.send(json.dumps({**message, "type": "typing"}))

    # --- what a page may ask --------------------------------------------------------------------

    async def _look(self, wanted: uuid.UUID | None) -> None:
        if wanted is not None and wanted == self.looks_at:
            await self._say(PRESENCE, here=True, hello=False)
            return
        if self.looks_at is not None:
            await self._say(PRESENCE, here=False, hello=False)
            await self._group("group_discard")
        self.looks_at = wanted if wanted and await self._exists(wanted) else None
        if self.looks_at is not None:
            await self._group("group_add")
            await self._say(PRESENCE, here=True, hello=True)

    async def _type(self) -> None:
        now = time.monotonic()
        if now - self.typed >= TYPING_SECONDS:
            self.typed = now
            await self._say(TYPING, side="people")

    async def _say(self, kind: str, **values: Any) -> None:
        if self.looks_at is None:
            return
        message = {
            "type": kind,
            "conversation": str(self.looks_at),
            "member": str(self.member),
            "name": self.name,
            **values,
        }
        group = talk_group(self.access.organisation_id, self.looks_at)
        try:
            await self.channel_layer.group_send(group, message)
        except (RedisError, OSError, ChannelFull):
            logger.info("nobody hears of %s", group)

    async def _group(self, act: str) -> None:
        if self.looks_at is None:
            return
        group = talk_group(self.access.organisation_id, self.looks_at)
        try:
            await getattr(self.channel_layer, act)(group, self.channel_name)
        except (RedisError, OSError):
            logger.info("%s of %s failed", act, group)

    # --- the database ----------------------------------------------------------------------------

    async def _exists(self, conversation_id: uuid.UUID) -> bool:
        def read() -> bool:
            with organisation_scope(self.access.organisation_id):
                return Conversation.objects.filter(pk=conversation_id).exists()

        return bool(await database_sync_to_async(read, thread_sensitive=False)())

    async def _still_allowed(self) -> bool:
        """Read anew who this is; close the socket of whoever may not answer conversations (any more)."""

        organisation = self.access.organisation_id if self.signed_in else None

        def read() -> tuple[Access, uuid.UUID, str] | None:
            access = access_of(self.session_key, organisation)
            if access is None:
                return None
            with organisation_scope(access.organisation_id):
                member = Membership.objects.select_related("user").get(user_id=access.user_id)
                return access, member.pk, str(member.user)

        self.checked = time.monotonic()
        try:
            found = await database_sync_to_async(read, thread_sensitive=False)()
        except DatabaseError:
            logger.warning("the database is away", exc_info=True)
            return self.signed_in
        if found is None:
            await self.close(code=NOT_SIGNED_IN)
            return False
        self.access, self.member, self.name = found
        if Permission.SERVICE_REPLY not in self.access.granted:
            await self.close(code=NOT_ALLOWED)
            return False
        return True
