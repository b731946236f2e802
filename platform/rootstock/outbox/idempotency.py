"""`Idempotency-Key`: sending a request again does it once and gets the same answer.

The key is written in the transaction that the request itself writes in, so either both are there or neither. A
request with the same key that comes meanwhile waits for the first one's end on the unique index, then gets its
answer. A request that failed (an error was raised, or the answer is a 5xx) has changed nothing and leaves no
key: it may be sent again, mended or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.db import connection, transaction
from django.db.utils import OperationalError
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from psycopg.errors import LockNotAvailable
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem
from rootstock.outbox.models import IdempotencyKey
from rootstock.tenancy.scope import current_organisation_id

__all__ = ["IDEMPOTENCY_KEY", "idempotent"]

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Your own id of this request, at most 255 printable ASCII characters. Sent again within 48 hours, the "
    "request is not done again and the first answer comes back with `Idempotency-Replayed: true`.",
)
# how long a request waits for another one of the same key
WAIT_SECONDS = 10
KEPT_HEADERS = ("ETag", "Location")

Method = TypeVar("Method", bound=Callable[..., Any])


def idempotent(method: Method) -> Method:
    """Make a writing method of an `ApiView` honour the header; without the header nothing changes.

    Raises:
        Problem: 422 for a malformed key or one used for another request, 409 while the first request still runs.
    """

    @wraps(method)
    def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return method(view, request, *args, **kwargs)
        _check(key)
        digest = _digest(request)
        row_id = _reserve(key, digest)
        if row_id is None:
            return _replay(key, digest)
        response: Response = method(view, request, *args, **kwargs)
        if response.status_code < 500:
            IdempotencyKey.objects.filter(pk=row_id).update(
                status=response.status_code,
                content_type="application/json",
                headers={
                    name: response[name] for name in KEPT_HEADERS if response.has_header(name)
                },
                body=b"" if response.data is None else JSONRenderer().render(response.data),
            )
        return response

    return cast("Method", once)


def _check(key: str) -> None:
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise Problem(
            422,
            "invalid",
            "An Idempotency-Key is 1 to 255 printable ASCII characters.",
            errors=[{"pointer": "/headers/Idempotency-Key", "detail": "not a key"}],
        )


def _digest(request: Request) -> bytes:
    raw = request._request
    start = f"{raw.method} {raw.get_full_path()}\n".encode()
    return hashlib.sha256(start + raw.body).digest()


def _reserve(key: str, digest: bytes) -> Any:
    """The id of the new row, or None when the key has been used (waiting for who is using it now)."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
            cursor.execute(
                "INSERT INTO outbox_idempotencykey (id, created_at, updated_at, organisation_id, key, request_digest,"
                " content_type, headers, body) VALUES (%s, clock_timestamp(), now(), %s, %s, %s, '', '{}', '')"
                " ON CONFLICT (organisation_id, key) DO NOTHING RETURNING id",
                [uuid7(), current_organisation_id(), key, digest],
            )
            row = cursor.fetchone()
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise Problem(
            409,
            "request-in-progress",
            "A request with this Idempotency-Key is being done. Ask again in a moment.",
            headers={"Retry-After": "2"},
        ) from error
    return row[0] if row else None


def _replay(key: str, digest: bytes) -> HttpResponse:
    kept = IdempotencyKey.objects.get(key=key)
    if bytes(kept.request_digest) != digest:
        raise Problem(
            422,
            "idempotency-key-reused",
            "This Idempotency-Key was used for another request. Take a new key for a new request.",
            errors=[
                {"pointer": "/headers/Idempotency-Key", "detail": "was used for another request"}
            ],
        )
    return HttpResponse(
        bytes(kept.body),
        status=kept.status or 200,
        content_type=kept.content_type,
        headers={**kept.headers, "Idempotency-Replayed": "true"},
    )
