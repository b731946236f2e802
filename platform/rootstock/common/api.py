"""The base of every REST view: permission, pages of results, conditional requests."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rootstock.common.access import HasPermission
from rootstock.common.problems import Problem

__all__ = [
    "IF_MATCH",
    "PAGE_PARAMETERS",
    "ApiView",
    "CursorPage",
    "check_if_match",
    "etag_of",
    "page_of",
    "paginate",
    "respond",
    "valid",
]

LARGEST_PAGE = 200
PAGE_PARAMETERS = [
    OpenApiParameter("cursor", str, description="From `next` or `previous` of another page."),
    OpenApiParameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": 50},
        description="Results on a page.",
    ),
]
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` of what was read: refused with 412 when it has changed since.",
)


class ApiView(APIView):
    """One path of the API. `permission` guards reading, `write_permission` (default: the same) the rest."""

    permission: str | None = None
    write_permission: str | None = None
    permission_classes = [HasPermission]
    metadata_class = None  # what OPTIONS would tell is in the schema

    def needed_permission(self, request: Request) -> str | None:
        """The permission that this request needs."""
        if request.method in SAFE_METHODS:
            return self.permission
        return self.write_permission or self.permission

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer 304 to a reader that has this state already."""
        response = super().finalize_response(request, response, *args, **kwargs)
        etag = response.headers.get("ETag")
        if etag and request.method in {"GET", "HEAD"} and response.status_code == 200:
            known = [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]
            if etag in known or "*" in known:
                response = Response(status=304, headers={"ETag": etag})
                return super().finalize_response(request, response, *args, **kwargs)
        return response


class CursorPage(CursorPagination):
    """Pages by cursor: stable under inserts, constant cost however deep."""

    page_size = 50
    max_page_size = LARGEST_PAGE
    page_size_query_param = "page_size"
    ordering = "-id"

    def get_page_size(self, request: Request) -> int:
        """The asked size, refused when it is not a number from 1 to 200."""
        raw = request.query_params.get("page_size")
        if raw is None:
            return self.page_size
        if not (raw.isascii() and raw.isdigit() and len(raw) <= 3):
            raise _bad_size(raw)
        if not 1 <= int(raw) <= LARGEST_PAGE:
            raise _bad_size(raw)
        return int(raw)

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """The rows of the asked page.

        Raises:
            Problem: 422 for a cursor that none of our pages gave out.
        """
        self._model = queryset.model
        return super().paginate_queryset(queryset, request, view=view)

    def decode_cursor(self, request: Request) -> Any:
        """The cursor, refused unless its position is a value of the column by which the page is ordered."""
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise _bad_cursor() from error
        if cursor is None or cursor.position is None:
            return cursor
        ordering = self.ordering if isinstance(self.ordering, str) else self.ordering[0]
        field = self._model._meta.get_field(ordering.lstrip("-"))
        try:
            field.to_python(cursor.position)
        except (ValidationError, ValueError, OverflowError) as error:
            raise _bad_cursor() from error
        if "\x00" in str(cursor.position):
            raise _bad_cursor()
        return cursor


def _bad_size(raw: str) -> Problem:
    return Problem(
        422,
        "invalid",
        "page_size is a whole number from 1 to 200.",
        errors=[{"pointer": "/page_size", "detail": f"not from 1 to 200: {raw[:40]}"}],
    )


def _bad_cursor() -> Problem:
    return Problem(
        422,
        "invalid",
        "This cursor is not one that a page gave out. Start without it.",
        errors=[{"pointer": "/cursor", "detail": "not a cursor"}],
    )


def paginate(
    view: APIView,
    request: Request,
    rows: QuerySet[Any],
    serializer: Any,
    *,
    ordering: str | tuple[str, ...] = "-id",
) -> Response:
    """A page of `rows`, each through `serializer`, as {"results", "next", "previous"}."""
    paginator = CursorPage()
    paginator.ordering = ordering  # type: ignore[assignment]  # DRF takes several as well
    page = paginator.paginate_queryset(rows, request, view=view)
    return paginator.get_paginated_response(serializer(page, many=True).data)


@cache
def page_of(serializer: type[serializers.BaseSerializer[Any]]) -> Any:
    """What `paginate` answers, for `@extend_schema(parameters=PAGE_PARAMETERS, responses=page_of(Output))`."""
    name = serializer.__name__.removesuffix("Serializer").removesuffix("Output")
    return inline_serializer(
        f"{name}Page",
        {
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": serializer(many=True),
        },
    )


def respond(row: Model, data: Any, *, status: int = 200) -> Response:
    """The state of one row with its `ETag`."""
    return Response(data, status=status, headers={"ETag": etag_of(row)})


def etag_of(row: Model) -> str:
    """A strong validator from the row's id and last change."""
    stamp = f"{row.pk}:{row.updated_at.isoformat()}"  # type: ignore[attr-defined]
    return f'"{hashlib.blake2s(stamp.encode(), digest_size=12).hexdigest()}"'


def check_if_match(request: Request, row: Model) -> None:
    """Refuse a change of something that has changed since the caller read it.

    Raises:
        Problem: 412 when `If-Match` is given and names another state.
    """
    wanted = request.headers.get("If-Match")
    if wanted and wanted != "*" and etag_of(row) not in [tag.strip() for tag in wanted.split(",")]:
        raise Problem(412, "changed", "It has changed since you read it. Read it again.")


def valid(serializer: Any) -> dict[str, Any]:
    """The checked values of a serializer.

    Raises:
        ValidationError: that becomes a 422 with a pointer to each fault.
    """
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data
