"""What the loop adds to the platform: unanswered questions are gathered as they come; two pages."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.customer_service import overview as panel
from apps.customer_service.services import hooks
from apps.customer_service.services.learning import candidates
from apps.customer_service.services.learning.unanswered import STREAM, gather_request
from rootstock.modelhub import sources
from rootstock.realtime import streams
from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Area, Item
from rootstock.web.navigation import register as register_area


def register() -> None:
    """Called once, when Django is ready."""
    read, write = Permission.SERVICE_READ, Permission.SERVICE_WRITE
    streams.register(STREAM, permission=read)
    hooks.on_unanswered.append(gather_request)
    for source in (candidates.OUTCOMES, candidates.REPLIES):
        sources.register(source)
    unanswered = Item(
        _("Unanswered"), "service:unanswered", read, "circle-question-mark",
        badge=panel.unanswered_count, keys="g u",
    )  # fmt: skip
    register_area(
        Area(
            "service",
            _("Customer service"),
            "messages-square",
            order=10,
            items=[unanswered, Item(_("Learning"), "service:learning", write, "graduation-cap")],
        )
    )
