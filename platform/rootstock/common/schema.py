"""What every operation of the OpenAPI schema has: the problem responses."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema


class RootstockSchema(AutoSchema):
    """Names each operation by its path, so that generated clients read well."""

    def get_tags(self) -> list[str]:
        """The area: the first part of the path after /api/v1/."""
        return [self.path.removeprefix("/api/v1/").split("/", 1)[0] or "root"]


PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def problem_responses(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Document problem+json as the answer to everything that fails."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result.get("paths", {}).values():
        for operation in path.values():
            operation.setdefault("responses", {}).setdefault(
                "default", {"description": "An error", "content": content}
            )
    return result
