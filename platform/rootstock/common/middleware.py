"""What every request has: an id, the caller's address; and what every answer of the API has."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import is_valid_path
from django.utils.cache import patch_vary_headers

from rootstock.common.ids import uuid7
from rootstock.common.problems import CONTENT_TYPE, TITLES, is_api, problem_response

_request_id: ContextVar[str] = ContextVar("rootstock_request_id", default="-")
_client_ip: ContextVar[str | None] = ContextVar("rootstock_client_ip", default=None)
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")
# Said where Django itself answered; what a view says is said better by the view.
DETAILS = {
    400: "The request could not be read.",
    403: "This is not allowed.",
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    500: "Something broke on our side. It was written to the log under the request id of this answer.",
}


def current_request_id() -> str:
    """The id of the request that runs, `-` outside one."""
    return _request_id.get()


def current_client_ip() -> str | None:
    """The address of the caller; None outside a request and over a unix socket.

    It is the peer's address. Behind a proxy the server (uvicorn, `--forwarded-allow-ips`) replaces it by what a
    trusted proxy says; no header is believed here.
    """
    return _client_ip.get()


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
        request.request_id = request_id  # type: ignore[attr-defined]
        id_token = _request_id.set(request_id)
        ip_token = _client_ip.set(_address(request.META.get("REMOTE_ADDR", "")))
        try:
            response = self.get_response(request)
        finally:
            _client_ip.reset(ip_token)
            _request_id.reset(id_token)
        response["X-Request-ID"] = request_id
        limit = getattr(request, "rate_limit", None)
        if limit is not None:
            total, remaining, reset = limit
            response["RateLimit-Policy"] = f'"default";q={total};w=60'
            response["RateLimit"] = f'"default";r={remaining};t={int(reset)}'
        return response


class ApiMiddleware:
    """Makes sure that nothing under /api/ ever answers an error with a page.

    It also takes an address with or without its last slash (a redirect would lose the body of a POST), and refuses what
    is too large or holds a NUL before anything reads it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, errors as problem+json."""
        if not is_api(request):
            return self.get_response(request)
        refused = _refuse(request)
        if refused is not None:
            return refused
        if not is_valid_path(request.path_info):
            path = request.path_info
            other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
            if is_valid_path(other):
                request.path_info = other
        response = self.get_response(request)
        if response.status_code >= 400:
            response = _as_problem(response)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _refuse(request: HttpRequest) -> HttpResponse | None:
    if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        return problem_response(400, "nul", "The address contains a NUL character.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if not length.isascii() or not length.isdigit():
        return problem_response(400, "malformed-length", "Content-Length is not a number.")
    if limit is not None and int(length) > limit:
        return problem_response(
            413, "too-large", f"The body is larger than {limit // 2**20} MiB. Send it in parts."
        )
    return None


def _as_problem(response: HttpResponse) -> HttpResponse:
    if response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
        return response
    status = response.status_code
    kept = {
        name: value
        for name, value in response.headers.items()
        if name not in {"Content-Type", "Content-Length", "Content-Language"}
    }
    code = TITLES.get(status, "error").lower().replace(" ", "-")
    detail = DETAILS.get(status, "The request failed.")
    problem = problem_response(status, code, detail, headers=kept)
    problem.cookies = response.cookies
    return problem


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
