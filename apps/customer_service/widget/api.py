"""/widget/api/<channel key>/: what a visitor does. docs/service_widget_api.md tells it to whoever builds a client."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from apps.customer_service.models import Attachment, Channel, Conversation, Visitor
from apps.customer_service.selectors.answering import assistant_get
from apps.customer_service.selectors.citations import citation_get
from apps.customer_service.selectors.conversations import (
    conversation_stream,
    messages_after,
    public_conversation,
    public_message,
)
from apps.customer_service.services.conversations import (
    conversation_hand_off,
    conversation_open,
    conversation_rate,
    visitor_actor,
)
from apps.customer_service.services.hours import hours_of
from apps.customer_service.services.messages import (
    NotTheAssistants,
    NotTheLast,
    message_add,
    message_rate,
    messages_read,
    reply_regenerate,
    reply_stop,
)
from apps.customer_service.services.visitors import (
    RETURN_SECONDS,
    Identity,
    IdentityRefused,
    TokenRefused,
    identity_read,
    token_issue,
    token_read,
    visitor_begin,
    visitor_told,
)
from apps.customer_service.widget import serializers
from apps.customer_service.widget.base import VisitorView, caller, limit
from rootstock.common.api import valid
from rootstock.common.problems import Problem, invalid
from rootstock.realtime.selectors import stream_head_held

# A conversation that ended so long ago is not shown again when its visitor comes back.
SHOWN_AFTER_END = timedelta(days=1)
# Of a very long conversation a visitor is shown the end.
MOST_MESSAGES = 500
_LANGUAGE = re.compile(r"[a-zA-Z]{2,3}\b")


class SessionView(VisitorView):
    """Who writes, and what the channel is like."""

    needs_visitor = False

    def post(self, request: Request, key: str) -> Response:
        """Begin or go on: a token for a day, how the channel looks, and the conversation that is under way."""
        values = valid(serializers.SessionInput(data=request.data))
        former = self._former(values["visitor"])
        if former is None:
            # Every new visitor is a row: fewer of them than calls.
            limit(f"new:{caller()}", max(1, settings.ROOTSTOCK_WIDGET_IP_LIMIT // 10))
        with self.scope():
            channel = Channel.objects.get(key=key)
            identity = self._identity(channel, values["identity"])
            visitor = visitor_begin(
                identity=identity, former=former, language=_language(values["language"])
            )
            token, expires_at = token_issue(channel=channel, visitor=visitor)
            return Response(
                {
                    "token": token,
                    "expires_at": expires_at.isoformat(),
                    "visitor": {"name": visitor.name, "verified": visitor.verified},
                    "channel": _channel(channel),
                    "conversation": self._conversation(channel, visitor),
                }
            )

    def _former(self, token: str) -> uuid.UUID | None:
        """The visitor of an earlier token of this organisation; a bad one is none."""
        if not token:
            return None
        try:
            former = token_read(token, max_age=RETURN_SECONDS)
        except TokenRefused:
            return None
        return former.visitor_id if former.organisation_id == self.door.organisation_id else None

    def _identity(self, channel: Channel, token: str) -> Identity | None:
        if token:
            try:
                return identity_read(token, secret=channel.identity_secret)
            except IdentityRefused as error:
                raise Problem(401, "identity", str(error)) from error
        if channel.identity_required:
            raise Problem(401, "identity", "This channel is for customers who are signed in.")
        return None

    def _conversation(self, channel: Channel, visitor: Visitor) -> dict[str, Any] | None:
        conversation = (
            Conversation.objects.filter(channel=channel, visitor=visitor)
            .select_related("assignee__user")
            .order_by("-created_at")
            .first()
        )
        if conversation is None:
            return None
        ended = conversation.resolved_at
        if ended is not None and ended < timezone.now() - SHOWN_AFTER_END:
            return None
        head = stream_head_held(conversation_stream(conversation.pk))
        return {**public_conversation(conversation), "last_event_id": head}


class ConversationsView(VisitorView):
    """Conversations of a visitor."""

    def post(self, request: Request, key: str) -> Response:
        """Begin one. When the last one is still empty, it is that: an answer that was lost makes no second one."""
        values = valid(serializers.ConversationInput(data=request.data))
        page = values.get("page", {})
        with self.scope():
            channel, visitor = Channel.objects.get(key=key), self.visitor()
            # Two tabs that begin at once: the second one waits here and finds the conversation of the first.
            visitor = Visitor.objects.select_for_update().get(pk=visitor.pk)
            answers = _pre_chat(channel, values["pre_chat"], required=not visitor.verified)
            if answers:
                visitor_told(visitor=visitor, answers=answers)
            conversation = Conversation.objects.filter(
                channel=channel, visitor=visitor, last_sequence=0, resolved_at=None
            ).first()
            if conversation is None:
                conversation = conversation_open(
                    channel=channel,
                    visitor=visitor,
                    origin=Conversation.Origin.WIDGET,
                    language=_language(values["language"]) or visitor.language,
                    page_title=page.get("title", ""),
                    page_url=_web_address(page.get("url", "")),
                    actor=visitor_actor(visitor),
                )
            head = stream_head_held(conversation_stream(conversation.pk))
            return Response(
                {**public_conversation(conversation), "last_event_id": head}, status=201
            )


class MessagesView(VisitorView):
    """What was said, and saying something."""

    def get(self, request: Request, key: str, conversation_id: uuid.UUID) -> Response:
        """Everything after message number `after`, and the event from which the socket goes on."""
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 9):
            raise invalid("/after", _("after is the number of a message."))
        with self.scope():
            conversation = self.conversation(conversation_id)
            # First, and held: what is read next is what the events up to here have told.
            head = stream_head_held(conversation_stream(conversation.pk))
            conversation.refresh_from_db()
            messages = messages_after(conversation, int(after), public=True)[-MOST_MESSAGES:]
            return Response(
                {
                    "messages": [public_message(message) for message in messages],
                    "conversation": public_conversation(conversation),
                    "last_event_id": head,
                }
            )

    def post(self, request: Request, key: str, conversation_id: uuid.UUID) -> Response:
        """Say something. Sent again with the same `client_id`, it is the message that is there."""
        limit(f"say:{self.token.visitor_id.hex}", settings.ROOTSTOCK_WIDGET_MESSAGE_LIMIT)
        values = valid(serializers.MessageInput(data=request.data))
        body, choice = values["body"], values.get("choice")
        if not body and not values["attachments"]:
            raise invalid("/body", _("The message is empty."))
        with self.scope():
            conversation = self.conversation(conversation_id)
            files = list(
                Attachment.objects.filter(pk__in=values["attachments"], conversation=conversation)
            )
            if len(files) != len(set(values["attachments"])):
                raise invalid("/attachments", _("There is no such file in this conversation."))
            message = message_add(
                conversation=conversation,
                author="visitor",
                body=body,
                client_id=values["client_id"],
                choices=[] if choice is None else [{"value": choice, "label": body}],
                attachments=files,
            )
            return Response(public_message(message), status=201)


class ReplyActionView(VisitorView):
    """What a visitor does with a reply."""

    action = ""

    def post(
        self, request: Request, key: str, conversation_id: uuid.UUID, message_id: uuid.UUID
    ) -> Response:
        """Stop it, ask for another one, or say whether it helped; answers the message."""
        rating = valid(serializers.ThumbInput(data=request.data)) if self.action == "thumb" else {}
        if self.action == "regenerate":
            limit(f"say:{self.token.visitor_id.hex}", settings.ROOTSTOCK_WIDGET_MESSAGE_LIMIT)
        with self.scope():
            message = self.message(self.conversation(conversation_id), message_id)
            if message.author not in ("assistant", "agent"):
                raise Problem(409, "not-a-reply", _("This is not a reply."))
            try:
                if self.action == "stop":
                    message = reply_stop(message=message)
                elif self.action == "regenerate":
                    message = reply_regenerate(message=message)
                else:
                    message = message_rate(message=message, **rating)
            except NotTheLast as error:
                raise Problem(
                    409, "not-the-last", _("Only the last reply can be written anew.")
                ) from error
            except NotTheAssistants as error:
                raise Problem(
                    409, "with-people", _("The assistant does not have this conversation any more.")
                ) from error
            return Response(public_message(message))


class ReadView(VisitorView):
    """Read receipts."""

    def post(self, request: Request, key: str, conversation_id: uuid.UUID) -> Response:
        """Up to here I have read it."""
        values = valid(serializers.ReadInput(data=request.data))
        with self.scope():
            conversation = self.conversation(conversation_id)
            messages_read(conversation=conversation, side="visitor", **values)
        return Response(status=204)


class CsatView(VisitorView):
    """How it was."""

    def post(self, request: Request, key: str, conversation_id: uuid.UUID) -> Response:
        """Rate the conversation, 1 to 5."""
        values = valid(serializers.CsatInput(data=request.data))
        with self.scope():
            conversation = conversation_rate(
                conversation=self.conversation(conversation_id),
                csat=values["score"],
                comment=values["comment"],
            )
            return Response(public_conversation(conversation))


class PeopleView(VisitorView):
    """Asking for people."""

    def post(self, request: Request, key: str, conversation_id: uuid.UUID) -> Response:
        """Hand the conversation to people; asked again, nothing more happens."""
        with self.scope():
            conversation = self.conversation(conversation_id)
            conversation_hand_off(
                conversation=conversation,
                reason="people-asked",
                actor=visitor_actor(conversation.visitor),
            )
            return Response(public_conversation(conversation))


class CitationView(VisitorView):
    """The source of what a reply says."""

    def get(self, request: Request, key: str, message_id: uuid.UUID, number: int) -> Response:
        """The cited passage with what stands around it."""
        with self.scope():
            mine = Conversation.objects.filter(visitor=self.visitor(), messages=message_id).first()
            if mine is None:
                raise Problem(404, "not-found", _("There is no such message."))
            return Response(citation_get(message=self.message(mine, message_id), number=number))


def _channel(channel: Channel) -> dict[str, Any]:
    """What a client must know to draw itself."""
    hours, now = hours_of(channel), timezone.now()
    following = hours.next_open(now)
    return {
        "appearance": channel.appearance,
        "pre_chat": channel.pre_chat,
        "hours": {
            "open": hours.is_open(now),
            "next": following.isoformat() if following else None,
        },
        "attachments": channel.attachments,
        "csat": assistant_get(channel.pk).csat,
    }


def _pre_chat(channel: Channel, given: dict[str, str], *, required: bool) -> dict[str, str]:
    """The answers to what the channel asks; other names are dropped. Of customers who are known nothing is required.

    Raises:
        Problem: 422 that names each field at fault.
    """
    answers: dict[str, str] = {}
    errors: list[dict[str, str]] = []
    for asked in channel.pre_chat.get("fields", []):
        name, value = asked["name"], given.get(asked["name"], "").strip()
        fault = _fault(asked, value) if value else ""
        if not value and required and asked.get("required"):
            fault = _("Please fill this in.")
        if fault:
            errors.append({"pointer": f"/pre_chat/{name}", "detail": fault})
        elif value:
            answers[name] = value
    if errors:
        raise Problem(422, "invalid", _("Some answers are missing or not valid."), errors=errors)
    return answers


def _fault(asked: dict[str, Any], value: str) -> str:
    if asked.get("kind") == "email":
        try:
            validate_email(value)
        except ValidationError:
            return _("This is not an e-mail address.")
    if asked.get("kind") == "choice":
        offered = {
            text
            for choice in asked.get("choices", [])
            for text in (choice.values() if isinstance(choice, dict) else [choice])
        }
        if value not in offered:
            return _("This is not one of the choices.")
    return ""


def _language(tag: str) -> str:
    """ "zh" of "zh-Hans-CN"."""
    found = _LANGUAGE.match(tag)
    return found.group().lower() if found else ""


def _web_address(url: str) -> str:
    """An address that agents may safely click on, else nothing."""
    return url if urlsplit(url).scheme in ("http", "https") else ""
