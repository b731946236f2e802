"""The socket of a page: events for a signed-in member, by what their role may read."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels.db import database_sync_to_async
from django.db.utils import Error as DatabaseError

from rootstock.realtime.access import Access, access_of
from rootstock.realtime.sockets import MAX_ERRORS, NOT_SIGNED_IN, Refused, StreamConsumer
from rootstock.realtime.streams import UnknownStream, permission_of

__all__ = ["ACCESS_SECONDS", "MAX_ERRORS", "EventConsumer"]

logger = logging.getLogger(__name__)

ACCESS_SECONDS = 15.0


class EventConsumer(StreamConsumer):
    """One open socket at /ws/events/."""

    access: Access

    async def connect(self) -> None:
        """Accept a signed-in member; others are told why and closed, so that the browser does not try again."""
        self.signed_in = False
        session = self.scope.get("session")
        self.session_key: str | None = await asyncio.to_thread(
            lambda: getattr(session, "session_key", None)
        )
        access = await self._now_allowed(None)
        await super().connect()
        if access is None:
            await self.error("signed-out", "Sign in to listen to events.")
            await self.close(code=NOT_SIGNED_IN)
            return
        self.access = access
        self.signed_in = True
        self.listen(access.organisation_id)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame of the client."""
        if self.signed_in:
            await super().receive(text_data, bytes_data)

    async def readable(self, stream: Any) -> str:
        """A stream that the role may read."""
        try:
            permission = permission_of(stream)
        except UnknownStream:
            raise Refused("unknown-stream", f"There is no stream {str(stream)[:60]!r}.") from None
        if permission not in self.access.granted:
            raise Refused("not-allowed", f"The stream {stream} needs the permission {permission}.")
        return str(stream)

    def recheck_seconds(self) -> float:
        """A role that is taken away counts after so long."""
        return ACCESS_SECONDS

    async def still_allowed(self) -> bool:
        """Close the socket of whoever has signed out or left; drop streams that a new role may not read."""
        try:
            access = await self._now_allowed(self.access.organisation_id)
        except DatabaseError:
            logger.warning("the database is away", exc_info=True)
            return True
        if access is None or access.user_id != self.access.user_id:
            await self.error("signed-out", "You were signed out, or are no longer a member.")
            await self.close(code=NOT_SIGNED_IN)
            return False
        self.access = access
        for stream in list(self.subscriptions):
            if permission_of(stream) not in access.granted:
                await self.leave(stream)
                await self.error("not-allowed", f"You may no longer read the stream {stream}.")
        return True

    async def _now_allowed(self, organisation_id: Any) -> Access | None:
        ask = database_sync_to_async(access_of, thread_sensitive=False)
        found: Access | None = await ask(self.session_key, organisation_id)
        return found
