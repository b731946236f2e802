"""The area of the customer service in the navigation; other parts add their pages to it."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.customer_service.overview import waiting_count
from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Action, Area, Item, register_action
from rootstock.web.navigation import register as register_area


def register() -> None:
    """Called once, when Django is ready."""
    read, write = Permission.SERVICE_READ, Permission.SERVICE_WRITE
    # Knowledge, Flows, Unanswered and Widget register themselves; the area shows its items in this order.
    register_area(
        Area(
            "service",
            _("Customer service"),
            "messages-square",
            order=10,
            items=[
                Item(_("Inbox"), "service:inbox", read, "inbox", badge=waiting_count, keys="g i"),
                Item(_("Insights"), "service:insights", read, "chart-line", keys="g t"),
                Item(_("Desk settings"), "service:desk", write, "sliders-horizontal"),
            ],
        )
    )
    register_action(Action(_("New macro"), "service:macro-new", write, "plus"))
    register_action(Action(_("New canned reply"), "service:canned-new", write, "plus"))
