"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "rootstock.webhooks"
    label = "webhooks"

    def ready(self) -> None:
        """The stream on which an endpoint that was disabled is told."""
        from rootstock.realtime import streams
        from rootstock.tenancy.permissions import Permission
        from rootstock.webhooks.services import STREAM

        streams.register(STREAM, permission=Permission.WEBHOOKS_READ)
