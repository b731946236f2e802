"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class OutboxConfig(AppConfig):
    name = "rootstock.outbox"
    label = "outbox"

    def ready(self) -> None:
        """Every process knows every topic: a message that nobody would handle is refused when it is written."""
        from rootstock.common.metrics import register_gauge
        from rootstock.outbox.services import outbox_gauges

        register_gauge(
            "rootstock_outbox",
            "Messages pending and dead, and seconds that the oldest due one has waited",
            outbox_gauges,
            label="what",
        )
        autodiscover_modules("tasks")
