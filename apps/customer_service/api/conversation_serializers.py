"""What the REST of conversations takes and gives."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.customer_service.api.desk_serializers import InboxRowOutput
from apps.customer_service.models import Conversation, Emotion, Message
from apps.customer_service.services.messages import AGENT_LIMIT

_CLIENT_ID = "Your own id of it: sent again, it is stored once."


class ConversationFilter(serializers.Serializer[Any]):
    """Which conversations; several values of `status` by comma."""

    status = serializers.CharField(default="", max_length=60)
    assignee = serializers.CharField(
        default="", max_length=36, help_text='The id of a membership, or "none".'
    )
    channel = serializers.UUIDField(required=False)
    visitor = serializers.UUIDField(required=False)
    external_id = serializers.CharField(
        default="", max_length=200, help_text="Your own number of it."
    )
    label = serializers.CharField(default="", max_length=60)  # type: ignore[assignment]  # a field, not a caption
    language = serializers.CharField(default="", max_length=10)
    emotion = serializers.ChoiceField(Emotion.values, required=False)
    intent = serializers.CharField(default="", max_length=120)
    waiting = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Whether a person owes an answer."
    )
    text = serializers.CharField(
        default="", max_length=200, help_text="Words of one message, or the visitor's name."
    )

    def validate_status(self, value: str) -> list[str]:
        """The values between the commas."""
        wanted = [part.strip() for part in value.split(",") if part.strip()]
        for status in wanted:
            if status not in Conversation.Status.values:
                raise serializers.ValidationError(f"{status} is not a status.")
        return wanted

    def validate_assignee(self, value: str) -> str:
        """An id or "none"."""
        if value not in ("", "none"):
            serializers.UUIDField().run_validation(value)
        return value


class VisitorInput(serializers.Serializer[Any]):
    """On whose behalf: one of your customers by your own id, or a visitor that is there."""

    id = serializers.UUIDField(required=False)
    external_id = serializers.CharField(required=False, max_length=200)
    name = serializers.CharField(default="", allow_blank=True, max_length=200)
    email = serializers.EmailField(default="", allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One of the two ids at most; neither makes somebody new."""
        if "id" in attrs and "external_id" in attrs:
            raise serializers.ValidationError("Give id or external_id, not both.")
        return attrs


class ConversationOpenInput(serializers.Serializer[Any]):
    """A conversation to begin."""

    channel = serializers.UUIDField()
    visitor = VisitorInput(required=False)
    language = serializers.CharField(default="", allow_blank=True, max_length=10)
    external_id = serializers.CharField(
        default="", allow_blank=True, max_length=200, help_text="Your own number of it; unique."
    )


class ConversationChangeInput(serializers.Serializer[Any]):
    """What may be changed by hand."""

    labels = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=50
    )
    priority = serializers.IntegerField(required=False, min_value=0, max_value=3)


class ConversationOutput(InboxRowOutput):
    """A conversation. Its messages are read beside it, and followed on `stream` from `last_event_id` on."""

    external_id = serializers.CharField(allow_blank=True)
    summary = serializers.CharField(allow_blank=True)
    contained = serializers.BooleanField(
        allow_null=True, help_text="Resolved by the assistant alone."
    )
    resolved_at = serializers.DateTimeField(allow_null=True)
    stream = serializers.CharField()
    last_event_id = serializers.IntegerField()


class MessageWriteInput(serializers.Serializer[Any]):
    """Something to say."""

    author = serializers.ChoiceField(
        [Message.Author.VISITOR, Message.Author.AGENT, Message.Author.NOTE],
        help_text="`visitor` speaks on the visitor's behalf, `note` is seen by agents only.",
    )
    body = serializers.CharField(max_length=AGENT_LIMIT)
    client_id = serializers.CharField(
        default="", allow_blank=True, max_length=64, help_text=_CLIENT_ID
    )


class ConversationMessageOutput(serializers.Serializer[Any]):
    """A message as its visitor sees it; notes only here."""

    id = serializers.UUIDField()
    sequence = serializers.IntegerField(help_text="From 1, without gaps.")
    author = serializers.ChoiceField(Message.Author.values)
    agent = serializers.CharField(allow_null=True)
    body = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(Message.State.values)
    citations = serializers.ListField(child=serializers.DictField())
    choices = serializers.ListField(child=serializers.DictField())
    kind = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    client_id = serializers.CharField(allow_blank=True)
    in_reply_to = serializers.UUIDField(allow_null=True)
    attachments = serializers.ListField(child=serializers.DictField())
    thumb = serializers.IntegerField(allow_null=True)


class ConversationMessagesOutput(serializers.Serializer[Any]):
    """A part of a conversation."""

    results = ConversationMessageOutput(many=True)
    more = serializers.BooleanField(help_text="Ask again with `after`, the last `sequence`.")


class HandOffInput(serializers.Serializer[Any]):
    """Why people are wanted."""

    reason = serializers.CharField(max_length=40)
    summary = serializers.CharField(default="", allow_blank=True, max_length=4000)


class AssigneeInput(serializers.Serializer[Any]):
    """Who is to have it."""

    member = serializers.UUIDField(help_text="The id of a membership.")
