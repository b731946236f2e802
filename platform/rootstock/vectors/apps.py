"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VectorsConfig(AppConfig):
    name = "rootstock.vectors"
    label = "vectors"
    verbose_name = _("Search collections")

    def ready(self) -> None:
        """Make the pages known."""
        from rootstock.tenancy.permissions import Permission
        from rootstock.web.navigation import Action, Area, Item, register, register_action

        page = Item(
            _("Search collections"), "vectors:collections", Permission.MODELS_READ, icon="search"
        )
        # The area is the model hub's: what it says of itself stands.
        register(Area(key="models", label=_("Models"), icon="boxes", items=[page], order=40))
        register_action(
            Action(
                _("New search collection"),
                "vectors:collection-new",
                Permission.MODELS_WRITE,
                icon="plus",
            )
        )
        register_action(
            Action(
                _("Change the embedding model"),
                "vectors:embedding-model",
                Permission.MODELS_WRITE,
                icon="sliders-horizontal",
            )
        )
