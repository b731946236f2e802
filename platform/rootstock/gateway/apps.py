"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GatewayConfig(AppConfig):
    name = "rootstock.gateway"
    label = "gateway"

    def ready(self) -> None:
        """The page in the Models area."""
        from rootstock.tenancy.permissions import Permission
        from rootstock.web.navigation import Action, Area, Item, register, register_action

        register(
            Area(
                key="models",
                label=_("Models"),
                icon="boxes",
                items=[
                    Item(
                        _("Connections"), "gateway:connections", Permission.MODELS_READ, icon="plug"
                    )
                ],
                order=40,
            )
        )
        register_action(
            Action(_("New connection"), "gateway:new", Permission.MODELS_WRITE, icon="plug")
        )
