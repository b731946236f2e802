"""A request id on every response and log line, and the rate limit headers."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from rootstock.common.ids import uuid7

_request_id: ContextVar[str] = ContextVar("rootstock_request_id", default="-")
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def current_request_id() -> str:
    """The id of the request that runs, `-` outside one."""
    return _request_id.get()


class RequestIdFilter(logging.Filter):
    """Adds `request_id` to each log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        record.request_id = _request_id.get()
        return True


class RequestIdMiddleware:
    """Takes a well-formed `X-Request-ID` or makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the id and, where one was counted, the rate limit."""
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _ACCEPTED.fullmatch(given) else uuid7().hex
        token = _request_id.set(request_id)
        try:
            response = self.get_response(request)
        finally:
            _request_id.reset(token)
        response["X-Request-ID"] = request_id
        limit = getattr(request, "rate_limit", None)
        if limit is not None:
            total, remaining, reset = limit
            response["RateLimit-Policy"] = f'"default";q={total};w=60'
            response["RateLimit"] = f'"default";r={remaining};t={int(reset)}'
        return response
