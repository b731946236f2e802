"""One error shape everywhere: application/problem+json (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.exceptions import ValidationError as ModelValidationError
from django.db.utils import OperationalError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    412: "Changed since it was read",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid",
    429: "Too many requests",
    500: "Server error",
    503: "Not available at the moment",
}


class Problem(exceptions.APIException):
    """An error that the caller can act on.

    `code` becomes the problem's `type`, `errors` says where: [{"pointer": "/documents/3/title", "detail": "…"}].
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        title: str | None = None,
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.title = title


def invalid(pointer: str, detail: str) -> Problem:
    """A 422 that names the value by its JSON pointer."""
    return Problem(422, "invalid", detail, errors=[{"pointer": pointer, "detail": detail}])


def problem_body(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    title: str | None = None,
) -> dict[str, Any]:
    """The JSON object of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:rootstock:problem:{code}",
        "title": title or TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    return body


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """A problem as a plain Django response, for middleware and error pages."""
    return JsonResponse(
        problem_body(status, code, detail, errors=errors),
        status=status,
        content_type=CONTENT_TYPE,
        headers=dict(headers or {}),
    )


def pointers(detail: Any, prefix: str = "") -> list[dict[str, str]]:
    """DRF's nested validation detail as a flat list of JSON pointers."""
    if isinstance(detail, dict):
        return [
            entry
            for key, value in detail.items()
            for entry in pointers(
                value, prefix if key == "non_field_errors" else f"{prefix}/{pointer_part(str(key))}"
            )
        ]
    if isinstance(detail, list):
        entries: list[dict[str, str]] = []
        for index, value in enumerate(detail):
            if isinstance(value, dict | list):
                entries += pointers(value, f"{prefix}/{index}")
            else:
                entries.append({"pointer": prefix or "/", "detail": str(value)})
        return entries
    return [{"pointer": prefix or "/", "detail": str(detail)}]


def pointer_part(key: str) -> str:
    """One key as a part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: every error that a view raises, as a problem; what was written is rolled back."""
    response = _translate(error)
    if response is None:
        return None
    # Read by the middleware that holds the transaction: what the view has written goes.
    context["request"]._request.view_raised = True
    response.content_type = CONTENT_TYPE
    return response


def _translate(error: Exception) -> Response | None:
    if isinstance(error, Problem):
        body = problem_body(
            error.status_code, error.code, str(error.detail), errors=error.errors, title=error.title
        )
        return Response(body, status=error.status_code, headers=error.headers)
    if isinstance(error, ModelValidationError):
        error = exceptions.ValidationError(
            error.message_dict if hasattr(error, "error_dict") else error.messages
        )
    if isinstance(error, exceptions.ValidationError):
        errors = pointers(error.detail)
        body = problem_body(422, "invalid", f"{len(errors)} value(s) are not valid.", errors=errors)
        return Response(body, status=422)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    elif isinstance(error, SuspiciousOperation | UnreadablePostError):
        error = exceptions.ParseError("The request could not be read.")
    elif isinstance(error, OperationalError):
        logger.error("the database does not answer", exc_info=error)
        error = Problem(
            503,
            "database",
            "The database does not answer. Try again.",
            headers={"Retry-After": "5"},
        )
        return _translate(error)
    if not isinstance(error, exceptions.APIException):
        return None
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    code = getattr(error.detail, "code", None) or error.default_code
    body = problem_body(error.status_code, str(code).replace("_", "-"), str(error.detail))
    return Response(body, status=error.status_code, headers=headers)


def is_api(request: HttpRequest) -> bool:
    """Whether the caller expects problem+json rather than a page."""
    return request.path.startswith(("/api/", "/widget/api/"))
