"""What visitors send."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.customer_service.services.messages import VISITOR_LIMIT
from apps.customer_service.services.visitors import LONGEST_IDENTITY


class PageInput(serializers.Serializer[Any]):
    """The page that the visitor looks at."""

    title = serializers.CharField(default="", allow_blank=True, max_length=300)
    url = serializers.CharField(default="", allow_blank=True, max_length=2000)


class SessionInput(serializers.Serializer[Any]):
    """The beginning of a session."""

    identity = serializers.CharField(default="", allow_blank=True, max_length=LONGEST_IDENTITY)
    visitor = serializers.CharField(default="", allow_blank=True, max_length=1000)
    language = serializers.CharField(default="", allow_blank=True, max_length=35)
    page = PageInput(required=False)


class ConversationInput(serializers.Serializer[Any]):
    """The beginning of a conversation."""

    pre_chat = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=500), default=dict
    )
    language = serializers.CharField(default="", allow_blank=True, max_length=35)
    page = PageInput(required=False)


class MessageInput(serializers.Serializer[Any]):
    """What a visitor says."""

    client_id = serializers.CharField(max_length=64)
    body = serializers.CharField(default="", allow_blank=True, max_length=VISITOR_LIMIT)
    choice = serializers.CharField(required=False, max_length=200)
    attachments = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=10)


class ThumbInput(serializers.Serializer[Any]):
    """Whether a reply helped: 1, -1, or 0 to take it back."""

    thumb = serializers.ChoiceField([-1, 0, 1])
    comment = serializers.CharField(default="", allow_blank=True, max_length=1000)


class ReadInput(serializers.Serializer[Any]):
    """Up to which message it was read."""

    sequence = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class CsatInput(serializers.Serializer[Any]):
    """How the conversation was."""

    score = serializers.IntegerField(min_value=1, max_value=5)
    comment = serializers.CharField(default="", allow_blank=True, max_length=1000)
