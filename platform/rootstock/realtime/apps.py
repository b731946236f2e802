"""Django's description of this app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "rootstock.realtime"
    label = "realtime"

    def ready(self) -> None:
        """A dead letter is an event that the dashboard shows."""
        from rootstock.outbox.handlers import on_dead_letter
        from rootstock.realtime import streams
        from rootstock.realtime.services import event_append
        from rootstock.tenancy.permissions import Permission

        streams.register("outbox", permission=Permission.JOBS_READ)

        def dead(topic: str, payload: dict[str, Any], error: str) -> None:
            event_append("outbox", "message.dead", {"topic": topic, "error": error[:500]})

        on_dead_letter(dead)
