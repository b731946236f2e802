"""/api/v1/service/conversations: for programs that bring conversations, take part in them, or move them on."""

from __future__ import annotations

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response

from apps.customer_service.api import conversation_serializers as serializers
from apps.customer_service.api.desk_serializers import InboxRowOutput
from apps.customer_service.models import Channel, Conversation, Message, Visitor
from apps.customer_service.selectors.conversations import (
    ConversationQuery,
    conversation_get,
    conversation_stream,
    conversations_find,
    inbox_row,
    messages_after,
    public_message,
)
from apps.customer_service.services.conversations import (
    conversation_assign,
    conversation_hand_off,
    conversation_labels_set,
    conversation_open,
    conversation_priority_set,
    conversation_reopen,
    conversation_resolve,
    conversation_return,
)
from apps.customer_service.services.messages import VISITOR_LIMIT, message_add
from apps.customer_service.services.visitors import visitor_named
from rootstock.common.api import (
    PAGE_PARAMETERS,
    ApiView,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.common.problems import Problem, invalid
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.realtime.selectors import stream_head
from rootstock.tenancy.models import Membership
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest

MESSAGES_PAGE = 200


class ConversationView(ApiView):
    """Seen by whoever may see conversations, changed by whoever answers them."""

    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_REPLY


class ConversationsView(ConversationView):
    """All of them."""

    @extend_schema(
        operation_id="service_conversations_list",
        parameters=[serializers.ConversationFilter, *PAGE_PARAMETERS],
        responses=page_of(InboxRowOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Find conversations, the newest first."""
        wanted = valid(serializers.ConversationFilter(data=request.query_params))
        found = conversations_find(ConversationQuery(**wanted))
        return paginate(self, request, found, _RowSerializer)

    @extend_schema(
        operation_id="service_conversations_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.ConversationOpenInput,
        responses={201: serializers.ConversationOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Begin a conversation on somebody's behalf; what they say is sent to its messages."""
        values = valid(serializers.ConversationOpenInput(data=request.data))
        channel = Channel.objects.filter(pk=values["channel"]).first()
        if channel is None:
            raise invalid("/channel", "There is no channel with this id.")
        external_id = values["external_id"]
        if external_id and Conversation.objects.filter(external_id=external_id).exists():
            raise Problem(
                409, "conversation-exists", f"There is a conversation {external_id} already."
            )
        conversation = conversation_open(
            channel=channel,
            visitor=_visitor(values.get("visitor", {})),
            origin=Conversation.Origin.API,
            language=values["language"],
            external_id=external_id,
            actor=request.actor,
        )
        return _answer(conversation, status=201)


class ConversationDetailView(ConversationView):
    """One of them."""

    @extend_schema(
        operation_id="service_conversations_get",
        responses={200: serializers.ConversationOutput},
    )
    def get(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Read a conversation."""
        return _answer(conversation_get(conversation_id))

    @extend_schema(
        operation_id="service_conversations_change",
        request=serializers.ConversationChangeInput,
        responses={200: serializers.ConversationOutput},
    )
    def patch(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Set labels or priority. With `If-Match`, only if it is still as it was read."""
        values = valid(serializers.ConversationChangeInput(data=request.data))
        conversation = conversation_get(conversation_id)
        check_if_match(request, conversation)
        change: dict[str, Any] = {"conversation": conversation, "actor": request.actor}
        if "labels" in values:
            conversation_labels_set(labels=values["labels"], **change)
        if "priority" in values:
            conversation_priority_set(priority=values["priority"], **change)
        return _answer(conversation)


class ConversationMessagesView(ConversationView):
    """What is said in it."""

    @extend_schema(
        operation_id="service_conversation_messages_list",
        parameters=[
            OpenApiParameter(
                "after",
                {"type": "integer", "minimum": 0, "default": 0},
                description="The `sequence` of the last message you have.",
            )
        ],
        responses={200: serializers.ConversationMessagesOutput},
    )
    def get(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Read messages and notes in order, 200 at a time."""
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 9):
            raise invalid("/after", "after is the sequence of a message.")
        found = messages_after(
            conversation_get(conversation_id), int(after), public=False, limit=MESSAGES_PAGE + 1
        )
        return Response(
            {
                "results": [public_message(message) for message in found[:MESSAGES_PAGE]],
                "more": len(found) > MESSAGES_PAGE,
            }
        )

    @extend_schema(
        operation_id="service_conversation_messages_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.MessageWriteInput,
        responses={201: serializers.ConversationMessageOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Say something as an agent, on the visitor's behalf, or to agents only."""
        values = valid(serializers.MessageWriteInput(data=request.data))
        visitors = values["author"] == Message.Author.VISITOR
        if visitors and len(values["body"]) > VISITOR_LIMIT:
            raise invalid("/body", f"A visitor's message has at most {VISITOR_LIMIT} characters.")
        message = message_add(
            conversation=conversation_get(conversation_id),
            member=None if visitors else request.membership,
            actor=request.actor,
            **values,
        )
        return Response(public_message(message), status=201)


class HandOffView(ConversationView):
    """Giving it to people."""

    @extend_schema(
        operation_id="service_conversations_hand_off",
        request=serializers.HandOffInput,
        responses={200: serializers.ConversationOutput},
    )
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Hand it to people; one that they have already stays as it is."""
        values = valid(serializers.HandOffInput(data=request.data))
        conversation = conversation_get(conversation_id)
        conversation_hand_off(conversation=conversation, actor=request.actor, **values)
        return _answer(conversation)


class AssignView(ConversationView):
    """Giving it to one person."""

    @extend_schema(
        operation_id="service_conversations_assign",
        request=serializers.AssigneeInput,
        responses={200: serializers.ConversationOutput},
    )
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Assign it to a member."""
        values = valid(serializers.AssigneeInput(data=request.data))
        conversation = conversation_get(conversation_id)
        member = Membership.objects.select_related("user").filter(pk=values["member"]).first()
        if member is None:
            raise invalid("/member", "There is no member with this id.")
        conversation_assign(conversation=conversation, member=member, actor=request.actor)
        return _answer(conversation)


class ReturnView(ConversationView):
    """Giving it back."""

    @extend_schema(
        operation_id="service_conversations_return",
        request=None,
        responses={200: serializers.ConversationOutput},
    )
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Give it back to the assistant, which answers what nobody has answered."""
        conversation = conversation_get(conversation_id)
        return _answer(conversation_return(conversation=conversation, actor=request.actor))


class ResolveView(ConversationView):
    """Ending it."""

    @extend_schema(
        operation_id="service_conversations_resolve",
        request=None,
        responses={200: serializers.ConversationOutput},
    )
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Settle it. What the visitor says later opens it again."""
        conversation = conversation_get(conversation_id)
        return _answer(conversation_resolve(conversation=conversation, actor=request.actor))


class ReopenView(ConversationView):
    """Going on with it."""

    @extend_schema(
        operation_id="service_conversations_reopen",
        request=None,
        responses={200: serializers.ConversationOutput},
    )
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Open it again: with its assignee, else with the assistant."""
        conversation = conversation_get(conversation_id)
        return _answer(conversation_reopen(conversation=conversation, actor=request.actor))


class _RowSerializer(InboxRowOutput):
    """Lines of the inbox from rows."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return inbox_row(instance)


def _answer(conversation: Conversation, *, status: int = 200) -> Response:
    stream = conversation_stream(conversation.pk)
    resolved = conversation.resolved_at
    data = {
        "last_event_id": stream_head(stream),
        **inbox_row(conversation),
        "external_id": conversation.external_id,
        "summary": conversation.summary,
        "contained": conversation.contained,
        "resolved_at": resolved.isoformat() if resolved else None,
        "stream": stream,
    }
    return respond(conversation, data, status=status)


def _visitor(values: dict[str, Any]) -> Visitor:
    if "id" in values:
        return get_object_or_404(Visitor, pk=values["id"])
    return visitor_named(**values)
