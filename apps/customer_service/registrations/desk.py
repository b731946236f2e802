"""What the desk adds to the platform: the customer's clock, suggestions, the queue, the line of the Overview."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.customer_service import overview as panel
from apps.customer_service.models import Conversation, Message
from apps.customer_service.services import hooks
from apps.customer_service.services.assignment import queue_drain
from apps.customer_service.services.sla import clock_start, clock_stop
from apps.customer_service.services.suggestions import suggestion_request
from apps.customer_service.services.summaries import hand_off_summary
from rootstock.common.actors import Actor
from rootstock.tenancy.permissions import Permission
from rootstock.web import overview
from rootstock.webhooks import events

Status = Conversation.Status
PEOPLE = (Status.WAITING, Status.ASSIGNED)


def register() -> None:
    """Called once, when Django is ready."""
    events.register("service.sla.missed", _("A customer was not answered in time."))
    hooks.on_visitor_waiting.append(visitor_waits)
    hooks.on_agent_reply.append(agent_replied)
    hooks.on_status_changed.append(status_changed)
    read, write = Permission.SERVICE_READ, Permission.SERVICE_WRITE
    overview.register(
        overview.Panel(
            "service", _("Customer service"), "service:inbox", read, panel.numbers, order=10
        )
    )
    overview.register_attention(
        overview.Source("service", read, panel.attention, stream="service.inbox")
    )
    overview.register_step(
        overview.Step(
            "service-answer",
            _("Answer a conversation yourself"),
            _("When the assistant hands over, the inbox rings."),
            "service:inbox",
            write,
            panel.has_answered,
            order=16,
        )
    )


def visitor_waits(conversation: Conversation, message: Message | None) -> None:
    """Hook: a clock begins, and the assistant proposes an answer."""
    clock_start(conversation)
    suggestion_request(conversation)


def agent_replied(conversation: Conversation, message: Message) -> None:
    """Hook: the customer waits no more."""
    clock_stop(conversation)


def status_changed(conversation: Conversation, before: str, actor: Actor) -> None:
    """Hook: whoever takes over is told what it is about; what nobody waits for has no clock; room is used."""
    if conversation.status not in PEOPLE:
        clock_stop(conversation)
    if conversation.status == Status.WAITING and not conversation.summary:
        conversation.summary = hand_off_summary(conversation)
    if before == Status.ASSIGNED:
        queue_drain()
