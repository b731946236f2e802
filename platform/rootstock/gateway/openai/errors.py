"""OpenAI's shape of an error in the place of problem+json, for everything under /api/openai/."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

PREFIX = "/api/openai/"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_DROPPED = {"content-type", "content-length", "content-language"}


def error_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """The object that OpenAI's clients read."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {
        "error": {"message": message, "type": kind, "param": param, "code": code.replace("-", "_")}
    }


class OpenAiErrorsMiddleware:
    """Turns problems into OpenAI's errors; stands outside everything that answers with a problem."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer; an error in OpenAI's shape."""
        response = self.get_response(request)
        if response.status_code < 400 or not request.path.startswith(PREFIX):
            return response
        problem = json.loads(response.content)  # type: ignore[attr-defined]  # errors are never streamed
        # They have no 422.
        status = 400 if response.status_code == 422 else response.status_code
        errors = problem.get("errors") or [{}]
        message, param = problem["detail"], errors[0].get("pointer", "").strip("/") or None
        if errors[0].get("detail") not in {None, message}:
            message = f"{param}: {errors[0]['detail']}"
        body = error_body(status, problem["type"].rsplit(":", 1)[-1], message, param)
        headers = {k: v for k, v in response.headers.items() if k.lower() not in _DROPPED}
        return JsonResponse(body, status=status, headers=headers)
