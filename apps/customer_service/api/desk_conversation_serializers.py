"""A conversation as the desk's REST gives it to whoever answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.customer_service.api.conversation_serializers import ConversationMessageOutput
from apps.customer_service.api.desk_serializers import InboxRowOutput, ProposedReplyOutput
from apps.customer_service.models import Conversation, ConversationEntry


class DeskMessageOutput(ConversationMessageOutput):
    """A message with what only agents see; notes are among them."""

    thumb_comment = serializers.CharField(allow_blank=True)
    language = serializers.CharField(allow_blank=True)
    emotion = serializers.CharField(allow_null=True, help_text="Of a customer's message.")
    has_trace = serializers.BooleanField(help_text="`messages/<id>/trace` tells how it came about.")


class EntryOutput(serializers.Serializer[Any]):
    """A line of the conversation's log, in the reader's language."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(ConversationEntry.Kind.values)
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not a caption
    actor = serializers.CharField(allow_blank=True)
    name = serializers.CharField(allow_blank=True, help_text="Who has it from then on.")
    reason = serializers.CharField(allow_blank=True)
    labels = serializers.ListField(child=serializers.CharField(), allow_null=True)
    priority = serializers.IntegerField(allow_null=True)
    csat = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()


class CustomerConversationOutput(serializers.Serializer[Any]):
    """Another conversation of the customer."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(Conversation.Status.values)
    intent = serializers.CharField(allow_blank=True)
    csat = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class CustomerOutput(serializers.Serializer[Any]):
    """Who the customer is."""

    id = serializers.UUIDField()
    name = serializers.CharField(allow_blank=True)
    email = serializers.CharField(allow_blank=True)
    external_id = serializers.CharField(allow_blank=True)
    verified = serializers.BooleanField()
    language = serializers.CharField(allow_blank=True)
    attributes = serializers.DictField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
    conversations = CustomerConversationOutput(many=True)


class DeskConversationOutput(InboxRowOutput):
    """A conversation with its messages, notes, log and customer."""

    stream = serializers.CharField()
    last_event_id = serializers.IntegerField()
    summary = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(
        allow_blank=True, help_text="Why people have it, in the reader's language."
    )
    page = serializers.DictField()
    csat_comment = serializers.CharField(allow_blank=True)
    messages = DeskMessageOutput(many=True)
    entries = EntryOutput(many=True)
    suggestion = ProposedReplyOutput(allow_null=True)
    customer = CustomerOutput()
