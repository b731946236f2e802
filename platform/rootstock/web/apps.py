"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "rootstock.web"
    label = "web"

    def ready(self) -> None:
        """Register the areas that belong to no application: Overview and Settings."""
        from rootstock.web import checks  # noqa: F401  (registers itself)
        from rootstock.web.areas import register_own_areas

        register_own_areas()
