"""The base of every REST view: permission, pages of results, conditional requests."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rootstock.common.access import HasPermission
from rootstock.common.problems import Problem


class ApiView(APIView):
    """One path of the API. `permission` guards reading, `write_permission` (default: the same) the rest."""

    permission: str | None = None
    write_permission: str | None = None
    permission_classes = [HasPermission]

    def needed_permission(self, request: Request) -> str | None:
        """The permission that this request needs."""
        if request.method in SAFE_METHODS:
            return self.permission
        return self.write_permission or self.permission


class CursorPage(CursorPagination):
    """Pages by cursor: stable under inserts, constant cost however deep."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering = "-id"

    def get_page_size(self, request: Request) -> int:
        """The asked size, refused when it is not a number from 1 to 200."""
        raw = request.query_params.get("page_size")
        if raw is None:
            return self.page_size
        if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= self.max_page_size:
            raise Problem(
                422,
                "invalid",
                "page_size is a whole number from 1 to 200.",
                errors=[{"pointer": "/page_size", "detail": f"not from 1 to 200: {raw[:40]}"}],
            )
        return int(raw)


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
    paginator.ordering = ordering
    page = paginator.paginate_queryset(rows, request, view=view)
    return paginator.get_paginated_response(serializer(page, many=True).data)


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
