"""What every operation of the OpenAPI schema has: how to sign in, and the problems it may answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class RootstockSchema(AutoSchema):
    """Names each operation by its path, so that generated clients read well."""

    def get_tags(self) -> list[str]:
        """The area: the first part of the path after /api/v1/."""
        return [self.path.removeprefix("/api/v1/").split("/", 1)[0] or "root"]


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer rk_…`."""

    target_class = "rootstock.accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """The entry under `securitySchemes`."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "rk_<prefix>_<secret>",
            "description": "An API key, made under Settings, API keys. Its scopes say what it may do.",
        }


class BrowserSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The session cookie of the dashboard."""

    target_class = "rootstock.accounts.authentication.BrowserSessionAuthentication"
    name = "browserSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """The entry under `securitySchemes`."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The dashboard's own calls; a change needs the header `X-CSRFToken` too.",
        }


PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "example": "urn:rootstock:problem:invalid"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "JSON pointer to the value in the body, or /name of a parameter.",
                    },
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
ALWAYS = {
    "401": "No credentials, or credentials that open nothing.",
    "403": "The role or the key does not have the permission that this needs.",
    "429": "Too many requests; `Retry-After` says how many seconds to wait.",
    "default": "Any other error.",
}
WITH_BODY = {
    "400": "The body is not JSON; the detail says where.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "422": "A value is not valid; `errors` says which.",
}
METHODS = {"get", "post", "put", "patch", "delete"}


def problem_responses(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Document problem+json as the answer to everything that fails."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    for path, operations in result.get("paths", {}).items():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            problems = dict(ALWAYS)
            if "requestBody" in operation:
                problems |= WITH_BODY
            elif operation.get("parameters"):
                problems["422"] = "A parameter is not valid; `errors` says which."
            if "{" in path:
                problems["404"] = "There is no such thing in this organisation."
            responses = operation.setdefault("responses", {})
            for status, description in problems.items():
                responses.setdefault(status, {"description": description, "content": CONTENT})
    return result
