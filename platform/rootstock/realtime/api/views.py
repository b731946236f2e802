"""REST: the event log for those who cannot keep a socket open."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from rootstock.common.api import ApiView
from rootstock.common.problems import Problem
from rootstock.realtime.selectors import PAGE, heads, page_after
from rootstock.realtime.streams import UnknownStream, permission_of, stream_names


class EventOutput(serializers.Serializer[Any]):
    """One event."""

    type = serializers.ChoiceField(["event"])
    stream = serializers.CharField()
    id = serializers.IntegerField(help_text="Its number in the stream, without gaps.")
    event = serializers.CharField(help_text="What happened.")
    data = serializers.DictField()  # type: ignore[assignment]  # a field, not the property
    at = serializers.DateTimeField()


class EventPageOutput(serializers.Serializer[Any]):
    """Events after a number."""

    results = EventOutput(many=True)
    last_event_id = serializers.IntegerField(help_text="Ask with this number for what follows.")
    reset = serializers.BooleanField(
        help_text="What follows the number you asked with is no longer kept: load the data afresh."
    )
    more = serializers.BooleanField(help_text="There is more already.")


class EventList(ApiView):
    """The events of one stream."""

    def needed_permission(self, request: Request) -> str | None:
        """That of the stream."""
        try:
            return permission_of(request.query_params.get("stream", ""))
        except UnknownStream:
            return None  # `get` says so, to whoever is signed in

    @extend_schema(
        operation_id="events_list",
        parameters=[
            OpenApiParameter("stream", str, required=True),
            OpenApiParameter(
                "after",
                {"type": "integer", "minimum": 0},
                description="The number of the last event you have; without it only the newest number comes back.",
            ),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": PAGE}),
        ],
        responses=EventPageOutput,
    )
    def get(self, request: Request) -> Response:
        """List what follows an event, in order."""
        stream = request.query_params.get("stream", "")
        try:
            permission_of(stream)
        except UnknownStream:
            raise _invalid("stream", f"Streams are {', '.join(stream_names())}.") from None
        limit = _number(request, "limit", PAGE)
        if not 1 <= limit <= PAGE:
            raise _invalid("limit", f"limit is from 1 to {PAGE}.")
        if "after" not in request.query_params:
            head = heads([stream])[stream]
            return Response({"results": [], "last_event_id": head, "reset": False, "more": False})
        page = page_after(stream, _number(request, "after", 0), limit=limit)
        return Response(
            {
                "results": page.events,
                "last_event_id": page.last,
                "reset": page.reset,
                "more": page.more,
            }
        )


def _number(request: Request, name: str, default: int) -> int:
    raw = request.query_params.get(name)
    if raw is None:
        return default
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 18):
        raise _invalid(name, f"{name} is a whole number.")
    return int(raw)


def _invalid(name: str, detail: str) -> Problem:
    return Problem(422, "invalid", detail, errors=[{"pointer": f"/{name}", "detail": detail}])
