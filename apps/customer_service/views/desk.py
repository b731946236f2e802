"""The inbox: who needs me now, and what do I say?"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.customer_service.models import Channel, Conversation, Emotion, Suggestion, Visitor
from apps.customer_service.selectors.conversations import INBOX, conversation_get
from apps.customer_service.selectors.desk import message_get
from apps.customer_service.selectors.inbox import (
    PAGE,
    InboxQuery,
    agent_rows,
    desk_lists,
    inbox_counts,
    inbox_find,
    inbox_query,
    inbox_rows,
)
from apps.customer_service.selectors.traces import (
    Explanation,
    message_explain,
    suggestion_explain,
)
from apps.customer_service.services.assignment import members_answering, profile_get
from apps.customer_service.services.privacy import customer_erase, customer_export
from rootstock.realtime.selectors import heads
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest


@requires(Permission.SERVICE_READ)
@require_GET
def inbox(request: PageRequest) -> HttpResponse:
    """The list, the conversation and the customer; the island fills the panes and keeps them current."""
    # Read before the rows: what is committed in between comes twice and is shown once.
    last_event_id = heads([INBOX])[INBOX]
    query = inbox_query(request.GET)
    found = inbox_find(query, member=request.membership)
    may_reply = Permission.SERVICE_REPLY in request.granted
    data: dict[str, Any] = {
        "lastEventId": last_event_id,
        "rows": inbox_rows(found[:PAGE]),
        "total": found.count(),
        "pageSize": PAGE,
        "counts": inbox_counts(request.membership),
        "query": {name: getattr(query, name) for name in InboxQuery.__dataclass_fields__},
        "filters": query.as_filters(),
        "selected": request.GET.get("c", "")[:36],
        "me": {
            "id": str(request.membership.pk),
            "name": str(request.membership.user),
            "role": request.membership.role,
            "presence": profile_get(request.membership).presence if may_reply else "offline",
        },
        "agents": agent_rows(members_answering()) if may_reply else [],
        "lists": desk_lists(request.membership),
        "statuses": {key: str(label) for key, label in Conversation.Status.choices},
        "emotions": {key: str(label) for key, label in Emotion.choices},
        "mayReply": may_reply,
        "mayErase": Permission.SERVICE_WRITE in request.granted,
        "urls": {
            "export": reverse("service:customer-export", args=[uuid.UUID(int=0)]),
            "erase": reverse("service:customer-erase", args=[uuid.UUID(int=0)]),
            "trace": reverse("service:trace", args=[uuid.UUID(int=0), uuid.UUID(int=0)]),
            "proposal": reverse("service:suggestion-trace", args=[uuid.UUID(int=0)]),
        },
    }
    context = {
        "data": data,
        "query": query,
        "folders": _folders(),
        "sorts": _sorts(),
        "channels": Channel.objects.order_by("name"),
        "emotions": Emotion.choices,
        "languages": [("en", _("English")), ("zh", _("Chinese"))],
        "labels": data["lists"]["labels"],
        "priorities": _priorities(),
        "agents": data["agents"],
        "may_reply": may_reply,
        "is_empty": not Conversation.objects.exists(),
    }
    return render(request, "customer_service/inbox.html", context)


@requires(Permission.SERVICE_READ)
@require_GET
def message_trace(
    request: PageRequest, conversation_id: uuid.UUID, message_id: uuid.UUID
) -> HttpResponse:
    """The drawer beside a message: what was understood, what was found, what each step took."""
    message = message_get(conversation_get(conversation_id), message_id)
    return _trace(request, message_explain(message), message.trace)


@requires(Permission.SERVICE_READ)
@require_GET
def suggestion_trace(request: PageRequest, suggestion_id: uuid.UUID) -> HttpResponse:
    """The same of a reply that was proposed."""
    suggestion = get_object_or_404(Suggestion, pk=suggestion_id)
    return _trace(request, suggestion_explain(suggestion), suggestion.trace)


def _trace(request: PageRequest, found: Explanation, stored: dict[str, Any]) -> HttpResponse:
    context = {"trace": found, "raw": json.dumps(stored, ensure_ascii=False, indent=1)}
    return render(request, "customer_service/desk/_trace.html", context)


@requires(Permission.SERVICE_REPLY)
@require_GET
def customer_export_file(request: PageRequest, visitor_id: uuid.UUID) -> HttpResponse:
    """Everything kept of a customer, as a file."""
    visitor = get_object_or_404(Visitor, pk=visitor_id)
    return JsonResponse(
        customer_export(visitor),
        json_dumps_params={"ensure_ascii": False, "indent": 2},
        headers={"Content-Disposition": f'attachment; filename="customer-{visitor.pk}.json"'},
    )


@requires(Permission.SERVICE_WRITE)
@require_POST
def customer_erase_all(request: PageRequest, visitor_id: uuid.UUID) -> HttpResponse:
    """Erase a customer, confirmed by typing what the page asks for."""
    visitor = get_object_or_404(Visitor, pk=visitor_id)
    if request.POST.get("confirm", "").strip() != erase_word(visitor):
        messages.error(request, _("Nothing was erased: what you typed is not the customer's name."))
    else:
        gone = customer_erase(visitor=visitor, actor=request.actor)
        messages.success(
            request,
            _("The customer is erased: %(conversations)d conversations, %(messages)d messages.")
            % gone,
        )
    return redirect("service:inbox")


def erase_word(visitor: Visitor) -> str:
    """What is typed to erase a customer: their name, else the end of their id."""
    return visitor.name.strip() or visitor.pk.hex[-8:]


def _folders() -> list[tuple[str, str]]:
    return [
        ("open", _("With people")),
        ("waiting", _("Waiting")),
        ("assigned", _("Assigned")),
        ("assistant", _("With the assistant")),
        ("resolved", _("Resolved")),
        ("all", _("All")),
    ]


def _sorts() -> list[tuple[str, str]]:
    return [
        ("waiting", _("Longest waiting")),
        ("anger", _("Angriest first")),
        ("sla", _("Due soonest")),
        ("newest", _("Newest")),
    ]


def _priorities() -> list[tuple[int, str]]:
    return [(1, _("Low or higher")), (2, _("High or higher")), (3, _("Urgent"))]
