"""`manage.py check`: a registered page whose address does not exist would be a dead link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register

from rootstock.web.navigation import address, registered_actions, registered_areas


@register(Tags.urls)
def navigation_resolves(
    app_configs: Sequence[AppConfig] | None, **options: Any
) -> list[CheckMessage]:
    """One warning for each registered page or action without an address."""
    names = [item.url_name for area in registered_areas() for item in area.items]
    names += [action.url_name for action in registered_actions()]
    return [
        Warning(
            f"The navigation names {name!r}, which no URLconf has.",
            hint="It is left out of the navigation and of the command palette.",
            id="web.W001",
        )
        for name in names
        if address(name) is None
    ]
