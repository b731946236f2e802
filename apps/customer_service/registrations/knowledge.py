"""What this part adds to the platform."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Action, Area, Item, register_action
from rootstock.web.navigation import register as register_area
from rootstock.webhooks import events


def register() -> None:
    """Called once, when Django is ready."""
    events.register(
        "service.release.published", _("Visitors are answered from another state of the knowledge.")
    )
    read, write = Permission.SERVICE_READ, Permission.SERVICE_WRITE
    register_area(
        Area(
            "service",
            _("Customer service"),
            "messages-square",
            order=10,
            items=[Item(_("Knowledge"), "service:knowledge", read, "book-open", keys="g k")],
        )
    )
    register_action(Action(_("Add knowledge"), "service:knowledge-add", write, "plus"))
    register_action(Action(_("New prepared answer"), "service:knowledge-answer-new", write, "plus"))
    register_action(Action(_("Ask the knowledge"), "service:knowledge-ask", read, "search"))
