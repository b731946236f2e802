"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ModelhubConfig(AppConfig):
    name = "rootstock.modelhub"
    label = "modelhub"

    def ready(self) -> None:
        """Make the event stream and the pages known."""
        from rootstock.realtime.streams import register as register_stream
        from rootstock.tenancy.permissions import Permission
        from rootstock.web.navigation import Area, Item, register

        register_stream("models", permission=Permission.MODELS_READ)
        read = Permission.MODELS_READ
        register(
            Area(
                key="models",
                label=_("Models"),
                icon="boxes",
                items=[
                    Item(_("Data sets"), "modelhub:datasets", read, icon="database", keys="g d"),
                    Item(_("Runs"), "modelhub:runs", read, icon="activity", keys="g r"),
                    Item(_("Versions"), "modelhub:versions", read, icon="package"),
                    Item(_("Deployments"), "modelhub:deployments", read, icon="rocket"),
                ],
                order=40,
            )
        )
