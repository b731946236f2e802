"""What flows add to the platform: their pages, their place in an answer, and their end when people take over."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.customer_service.services import hooks
from apps.customer_service.services.answering import flows_hook
from apps.customer_service.services.flows.runner import flow_leave
from apps.customer_service.services.flows.step import flow_step
from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Action, Area, Item, register_action
from rootstock.web.navigation import register as register_area


def register() -> None:
    """Called once, when Django is ready."""
    flows_hook.register(flow_step)
    hooks.on_status_changed.append(flow_leave)
    register_area(
        Area(
            "service",
            _("Customer service"),
            "messages-square",
            order=10,
            items=[Item(_("Flows"), "service:flows", Permission.SERVICE_READ, "workflow")],
        )
    )
    write = Permission.SERVICE_WRITE
    register_action(Action(_("New flow"), "service:flow-new", write, "plus"))
    register_action(Action(_("New business action"), "service:action-new", write, "plus"))
