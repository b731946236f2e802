"""What answering adds to the platform."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.customer_service.services import hooks
from apps.customer_service.services.answering import as_model
from apps.customer_service.services.answering.replying import understand_waiting, unhelpful
from rootstock.gateway import virtual
from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Area, Item
from rootstock.web.navigation import register as register_area


def register() -> None:
    """Called once, when Django is ready."""
    hooks.on_visitor_waiting.append(understand_waiting)
    hooks.on_rated.append(unhelpful)
    virtual.register(as_model.MODEL)
    register_area(
        Area(
            "service",
            _("Customer service"),
            "messages-square",
            order=10,
            items=[Item(_("Assistant"), "service:assistant", Permission.SERVICE_READ, "bot")],
        )
    )
