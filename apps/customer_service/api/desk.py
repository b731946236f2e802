"""/api/v1/service/inbox: what agents do with conversations."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from apps.customer_service.api import desk_serializers as serializers
from apps.customer_service.api.desk_conversation_serializers import (
    DeskConversationOutput,
    DeskMessageOutput,
)
from apps.customer_service.models import Attachment, Conversation, Macro, Suggestion
from apps.customer_service.selectors.attachments import public_attachment
from apps.customer_service.selectors.conversations import conversation_get, inbox_row
from apps.customer_service.selectors.desk import agent_message, desk_conversation, message_get
from apps.customer_service.selectors.inbox import (
    inbox_counts,
    inbox_find,
    inbox_query,
    inbox_rows,
)
from apps.customer_service.services.assignment import members_answering
from apps.customer_service.services.attachments import attachment_store, file_check
from apps.customer_service.services.conversations import (
    conversation_release,
    conversation_reopen,
    conversation_resolve,
    conversation_return,
)
from apps.customer_service.services.desk import (
    agent_reply,
    conversation_label,
    conversation_prioritise,
    conversation_transfer,
    note_add,
)
from apps.customer_service.services.macros import macro_run
from apps.customer_service.services.messages import messages_read
from apps.customer_service.services.suggestions import suggestion_dismiss, suggestion_request
from rootstock.common.api import ApiView, valid
from rootstock.common.ids import uuids_of
from rootstock.common.problems import invalid
from rootstock.gateway.late import LateAnswer
from rootstock.tenancy.models import Membership
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest
from rootstock.tenancy.scope import organisation_scope


class DeskView(ApiView):
    """Seen by whoever may see conversations, changed by whoever answers them."""

    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_REPLY


class InboxView(DeskView):
    """The list."""

    @extend_schema(
        operation_id="service_inbox",
        parameters=[serializers.InboxFilter],
        responses={200: serializers.InboxOutput},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Find conversations as the inbox shows them, and how many there are of each kind."""
        wanted = valid(serializers.InboxFilter(data=request.query_params))
        member = request.membership
        found = inbox_find(inbox_query(wanted), member=member)
        if "ids" in wanted:
            found = found.filter(pk__in=_ids(wanted["ids"]))
        start = wanted["offset"]
        return Response(
            {
                "results": inbox_rows(found[start : start + wanted["limit"]]),
                "total": found.count(),
                "counts": inbox_counts(member),
            }
        )


class InboxConversationView(DeskView):
    """One conversation."""

    @extend_schema(
        operation_id="service_inbox_conversation",
        responses={200: DeskConversationOutput},
    )
    def get(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Read a conversation with its messages, notes, log, proposed reply and customer."""
        return Response(desk_conversation(conversation_get(conversation_id)))


class InboxTraceView(DeskView):
    """How a message came about."""

    @extend_schema(operation_id="service_inbox_trace", responses={200: dict})
    def get(
        self, request: OrganisationRequest, conversation_id: uuid.UUID, message_id: uuid.UUID
    ) -> Response:
        """Read what was understood of a message, or every step of the assistant's reply."""
        message = message_get(conversation_get(conversation_id), message_id)
        return Response(message.trace)


class InboxReplyView(DeskView):
    """Answering."""

    @extend_schema(
        operation_id="service_inbox_reply",
        request=serializers.ReplyInput,
        responses={201: DeskMessageOutput},
    )
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Answer the customer, or write a note that only agents see."""
        values = valid(serializers.ReplyInput(data=request.data))
        conversation = conversation_get(conversation_id)
        writes: dict[str, Any] = {
            "conversation": conversation,
            "body": values["body"],
            "member": request.membership,
            "actor": request.actor,
            "client_id": values["client_id"],
        }
        if values["note"]:
            return Response(agent_message(note_add(**writes)), status=201)
        suggestion = None
        if values["suggestion"] is not None:
            suggestion = Suggestion.objects.filter(
                conversation=conversation, pk=values["suggestion"]
            ).first()
            if suggestion is None:
                raise invalid("/suggestion", _("This conversation has no such proposal."))
        attachments = list(
            Attachment.objects.filter(
                conversation=conversation, message=None, pk__in=values["attachments"]
            )
        )
        message = agent_reply(**writes, suggestion=suggestion, attachments=attachments)
        return Response(agent_message(message), status=201)


class InboxAttachmentsView(DeskView):
    """Files of an answer."""

    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="service_inbox_attach",
        request={"multipart/form-data": serializers.FileInput},
        responses={201: serializers.FileOutput},
    )
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> HttpResponse:
        """Upload a file for the next answer: an image, a PDF or a text, at most 10 MB."""
        upload = valid(serializers.FileInput(data=request.data))["file"]
        conversation = conversation_get(conversation_id)
        organisation_id = request.organisation.pk
        name, content = upload.name, upload.read()

        def finish() -> JsonResponse:
            # Decoding an image is slow: outside of the request's transaction.
            file = file_check(name=name, content=content)
            with organisation_scope(organisation_id):
                kept = attachment_store(conversation=conversation, file=file)
                return JsonResponse(public_attachment(kept), status=201)

        return LateAnswer(finish)


class InboxAssigneeView(DeskView):
    """Who has it."""

    @extend_schema(
        operation_id="service_inbox_assign",
        request=serializers.AssignInput,
        responses={200: serializers.InboxRowOutput},
    )
    def put(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Take a conversation, hand it to somebody, or put it back into the queue."""
        values = valid(serializers.AssignInput(data=request.data))
        conversation = conversation_get(conversation_id)
        actor, me = request.actor, request.membership
        if values["member"] == "none":
            return _row(conversation_release(conversation=conversation, actor=actor))
        return _row(
            conversation_transfer(
                conversation=conversation,
                member=_member(values["member"], me),
                actor=actor,
                note=values["note"],
                author=me,
            )
        )


class InboxStatusView(DeskView):
    """What becomes of it."""

    @extend_schema(
        operation_id="service_inbox_status",
        request=serializers.StatusInput,
        responses={200: serializers.InboxRowOutput},
    )
    def put(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Resolve a conversation, give it back to the assistant, or open it again."""
        wanted = valid(serializers.StatusInput(data=request.data))["status"]
        change = {
            "resolved": conversation_resolve,
            "assistant": conversation_return,
            "open": conversation_reopen,
        }[wanted]
        conversation = conversation_get(conversation_id)
        return _row(change(conversation=conversation, actor=request.actor))


class InboxLabelsView(DeskView):
    """Its labels."""

    @extend_schema(
        operation_id="service_inbox_labels",
        request=serializers.LabelsInput,
        responses={200: serializers.InboxRowOutput},
    )
    def put(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Give a conversation exactly these labels."""
        labels = valid(serializers.LabelsInput(data=request.data))["labels"]
        conversation = conversation_get(conversation_id)
        actor = request.actor
        return _row(conversation_label(conversation=conversation, labels=labels, actor=actor))


class InboxPriorityView(DeskView):
    """How urgent it is."""

    @extend_schema(
        operation_id="service_inbox_priority",
        request=serializers.PriorityInput,
        responses={200: serializers.InboxRowOutput},
    )
    def put(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Set how urgent a conversation is, 0 to 3."""
        priority = valid(serializers.PriorityInput(data=request.data))["priority"]
        conversation = conversation_get(conversation_id)
        actor = request.actor
        return _row(
            conversation_prioritise(conversation=conversation, priority=priority, actor=actor)
        )


class InboxReadView(DeskView):
    """Read receipts."""

    @extend_schema(
        operation_id="service_inbox_read", request=serializers.ReadInput, responses={204: None}
    )
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Say that people have read up to a message."""
        sequence = valid(serializers.ReadInput(data=request.data))["sequence"]
        conversation = conversation_get(conversation_id)
        messages_read(conversation=conversation, side="people", sequence=sequence)
        return Response(status=204)


class InboxMacroView(DeskView):
    """Running a macro."""

    @extend_schema(
        operation_id="service_inbox_macro",
        request=None,
        responses={200: serializers.InboxRowOutput},
    )
    def post(
        self, request: OrganisationRequest, conversation_id: uuid.UUID, macro_id: uuid.UUID
    ) -> Response:
        """Take all steps of a macro; when one is refused, none is taken."""
        return _row(
            macro_run(
                macro=get_object_or_404(Macro, pk=macro_id),
                conversation=conversation_get(conversation_id),
                member=request.membership,
                actor=request.actor,
            )
        )


class InboxSuggestionView(DeskView):
    """Having a reply proposed."""

    @extend_schema(operation_id="service_inbox_suggest", request=None, responses={202: None})
    def post(self, request: OrganisationRequest, conversation_id: uuid.UUID) -> Response:
        """Ask for a proposed reply; it comes as the event `suggestion.ready`."""
        suggestion_request(conversation_get(conversation_id))
        return Response(status=202)


class SuggestionDismissView(DeskView):
    """Wanting none of a proposed reply."""

    @extend_schema(operation_id="service_suggestion_dismiss", request=None, responses={204: None})
    def post(self, request: OrganisationRequest, suggestion_id: uuid.UUID) -> Response:
        """Dismiss a proposed reply; training learns from it."""
        suggestion_dismiss(suggestion=get_object_or_404(Suggestion, pk=suggestion_id))
        return Response(status=204)


def _row(conversation: Conversation) -> Response:
    return Response(inbox_row(conversation))


def _member(wanted: str, me: Membership | None) -> Membership:
    """Who is to have it.

    Raises:
        Problem: 422, nobody of this id answers conversations, or "me" is a key.
    """
    if wanted == "me":
        if me is None:
            raise invalid("/member", _("A key cannot have a conversation assigned to it."))
        return me
    member = members_answering().filter(pk__in=_ids(wanted)[:1]).first()
    if member is None:
        raise invalid("/member", _("Nobody of this id answers conversations."))
    return member


def _ids(text: str) -> list[uuid.UUID]:
    return uuids_of(word.strip() for word in text.split(","))
