"""What every call of a visitor goes through: channel, origin, limits, token.

Nobody is signed in here: there is no cookie, so nothing is believed but the signed token, and a foreign page that
calls is refused by its Origin. A program without an Origin (an app, a server) is let through to the same checks.
"""

from __future__ import annotations

import ipaddress
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.customer_service.models import Conversation, Message, Visitor
from apps.customer_service.selectors.channels import ChannelDoor, channel_find
from apps.customer_service.selectors.origins import origin_allowed
from apps.customer_service.services.visitors import TokenRefused, VisitorToken, token_read
from rootstock.common.middleware import current_client_ip
from rootstock.common.problems import Problem
from rootstock.common.throttling import count
from rootstock.tenancy.scope import organisation_scope

WINDOW = 60
PREFLIGHT_SECONDS = "600"


class VisitorView(APIView):
    """A path below /widget/api/<channel key>/. Handlers open the organisation with `self.scope()` themselves."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    metadata_class = None
    schema = None  # told in docs/service_widget_api.md: visitors are no users of the platform's API
    needs_visitor = True

    door: ChannelDoor
    token: VisitorToken
    origin = ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find the channel, then refuse whoever may not call it, or calls too often."""
        super().initial(request, *args, **kwargs)
        door = channel_find(kwargs["key"])
        if door is None:
            raise Problem(404, "no-channel", "There is no channel with this key.")
        origin = request.headers.get("Origin", "")
        if not origin_allowed(origin, host=request.get_host(), origins=door.origins):
            raise Problem(
                403, "origin-not-allowed", f"The channel does not allow the origin {origin[:200]}."
            )
        self.door, self.origin = door, origin
        if request.method == "OPTIONS":
            return
        limit(f"ip:{caller()}", settings.ROOTSTOCK_WIDGET_IP_LIMIT)
        if not door.enabled:
            raise Problem(403, "channel-off", "This channel is switched off.")
        if self.needs_visitor:
            self.token = _token(request, door)
            limit(f"visitor:{self.token.visitor_id.hex}", settings.ROOTSTOCK_WIDGET_VISITOR_LIMIT)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """The browser asks before it calls from another origin."""
        return Response(status=204)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Let the page of an allowed origin read the answer, a refusal as well."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Vary"] = "Origin"
        if self.origin:
            response["Access-Control-Allow-Origin"] = self.origin
            response["Access-Control-Expose-Headers"] = "Retry-After, X-Request-ID"
        if self.origin and request.method == "OPTIONS":
            response["Access-Control-Allow-Methods"] = "GET, POST"
            response["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
        return response

    def scope(self) -> AbstractContextManager[Any]:
        """One transaction in the channel's organisation."""
        return organisation_scope(self.door.organisation_id)

    # --- inside the scope -----------------------------------------------------------------------

    def visitor(self) -> Visitor:
        """Who calls.

        Raises:
            Problem: 401, they were erased or became somebody known.
        """
        visitor = Visitor.objects.filter(pk=self.token.visitor_id).first()
        if visitor is None:
            raise refused_token()
        return visitor

    def conversation(self, conversation_id: Any) -> Conversation:
        """A conversation of whoever calls.

        Raises:
            Problem: 404, there is none or it is somebody else's.
        """
        visitor = self.visitor()
        found = (
            Conversation.objects.select_related("visitor", "channel", "assignee__user")
            .filter(pk=conversation_id, visitor=visitor)
            .first()
        )
        if found is None:
            raise Problem(404, "not-found", _("There is no such conversation."))
        return found

    def message(self, conversation: Conversation, message_id: Any) -> Message:
        """A message that the visitor may see.

        Raises:
            Problem: 404.
        """
        found = (
            Message.objects.filter(pk=message_id, conversation=conversation)
            .exclude(author=Message.Author.NOTE)
            .first()
        )
        if found is None:
            raise Problem(404, "not-found", _("There is no such message."))
        found.conversation = conversation
        return found


def refused_token() -> Problem:
    """401: begin a session anew."""
    return Problem(
        401,
        "visitor-token",
        "The visitor's token is missing, not ours or too old: begin a session.",
        headers={"WWW-Authenticate": 'Bearer realm="visitor"'},
    )


def caller() -> str:
    """Whose limit is counted: the address, of IPv6 its network of one customer (/64)."""
    address = current_client_ip()
    if address is None:
        return "local"
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)


def limit(name: str, most: int) -> None:
    """Count one use in this minute.

    Raises:
        Problem: 429, with the seconds to wait.
    """
    left, wait = count(f"service:{name}", limit=most, seconds=WINDOW)
    if left < 0:
        raise Problem(
            429,
            "too-many-requests",
            _("Too many requests. Try again in %(seconds)d seconds.") % {"seconds": int(wait) + 1},
            headers={"Retry-After": str(int(wait) + 1)},
        )


def _token(request: Request, door: ChannelDoor) -> VisitorToken:
    kind, _space, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise refused_token()
    try:
        token = token_read(given.strip())
    except TokenRefused as error:
        raise refused_token() from error
    if (token.organisation_id, token.channel_id) != (door.organisation_id, door.id):
        raise refused_token()
    return token
