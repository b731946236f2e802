"""What this part adds to the platform."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.customer_service.models import Conversation
from apps.customer_service.selectors.conversations import FAMILY, INBOX
from apps.customer_service.services.conversations import REPLY_TOPIC
from apps.customer_service.services.messages import reply_give_up
from rootstock.outbox.handlers import on_dead_letter
from rootstock.realtime import streams
from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Action, Area, Item, register_action
from rootstock.web.navigation import register as register_area
from rootstock.webhooks import events


def register() -> None:
    """Called once, when Django is ready."""
    streams.register(INBOX, permission=Permission.SERVICE_READ)
    streams.register_family(FAMILY, permission=Permission.SERVICE_READ)
    events.register("service.conversation.opened", _("A visitor began a conversation."))
    events.register("service.conversation.handed_off", _("A conversation waits for a person."))
    events.register("service.conversation.resolved", _("A conversation was settled."))
    events.register("service.conversation.rated", _("A visitor rated a conversation."))
    events.register(
        "service.message.created",
        _("A visitor, the assistant or an agent said something in a conversation."),
    )
    on_dead_letter(reply_lost)
    register_area(
        Area(
            "service",
            _("Customer service"),
            "messages-square",
            order=10,
            items=[
                Item(
                    _("Widget"),
                    "service:channels",
                    Permission.SERVICE_READ,
                    "message-circle",
                    keys="g w",
                )
            ],
        )
    )
    register_action(
        Action(_("New channel"), "service:channel-new", Permission.SERVICE_WRITE, "plus")
    )


def reply_lost(topic: str, payload: dict[str, Any], error: str) -> None:
    """A reply that could not be written twenty times is a matter for people."""
    if topic != REPLY_TOPIC:
        return
    conversation = Conversation.objects.filter(pk=payload["conversation"]).first()
    if conversation is not None:
        reply_give_up(conversation=conversation)
