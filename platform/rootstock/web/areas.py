"""The areas that belong to no application.

Accounts, audit and webhooks lie below this layer and cannot register pages themselves.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Action, Area, Item, register, register_action


def register_own_areas() -> None:
    """Overview first, Settings last; applications stand between."""
    register(
        Area(
            key="overview",
            label=_("Overview"),
            icon="gauge",
            items=[Item(_("Overview"), "web:overview", None, icon="gauge", keys="g o")],
            order=0,
        )
    )
    register(
        Area(
            key="settings",
            label=_("Settings"),
            icon="settings",
            items=[
                Item(
                    _("People"), "accounts:people", Permission.PEOPLE_READ, icon="users", keys="g p"
                ),
                Item(_("API keys"), "accounts:keys", Permission.KEYS_WRITE, icon="key-round"),
                Item(_("Webhooks"), "webhooks:list", Permission.WEBHOOKS_READ, icon="webhook"),
                Item(_("Audit"), "audit:list", Permission.AUDIT_READ, icon="scroll-text"),
                Item(
                    _("Organisation"),
                    "accounts:organisation",
                    Permission.ORGANISATION_WRITE,
                    icon="building-2",
                ),
                Item(_("API documentation"), "api-docs", None, icon="book-open-text"),
            ],
            order=900,
        )
    )
    register_action(Action(_("My account"), "accounts:profile", None, icon="user-round"))
    register_action(
        Action(_("New API key"), "accounts:new-key", Permission.KEYS_WRITE, icon="key-round")
    )
    register_action(
        Action(_("Invite somebody"), "accounts:people", Permission.PEOPLE_WRITE, icon="user-plus")
    )
