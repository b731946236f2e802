"""For those who run it: alive, ready, metrics."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import socket
from collections.abc import Callable
from functools import cache as cached
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.utils import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError

from rootstock.common.middleware import current_client_ip
from rootstock.common.problems import problem_response

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0


class NotReady(Exception):
    """A part does not do its work; the text says what is the matter, without addresses or secrets."""


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Everything this process needs answers; 503 says which part does not."""
    checks = {name: _state(name, check) for name, check in PARTS.items()}
    ready = all(value == "ok" for value in checks.values())
    return JsonResponse(
        {"status": "ok" if ready else "unavailable", "checks": checks},
        status=200 if ready else 503,
    )


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus exposition, for the token of ROOTSTOCK_METRICS_TOKEN, or this machine where none is set."""
    if not _may_read_metrics(request):
        return problem_response(
            403, "metrics", "Metrics are for this machine, or for the bearer of the metrics token."
        )
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics(request: HttpRequest) -> bool:
    token = settings.ROOTSTOCK_METRICS_TOKEN
    if token:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    # A proxy on this machine has a loopback address too, and speaks for somebody else.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    address = current_client_ip()
    return address is not None and ipaddress.ip_address(address).is_loopback


def _state(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as error:
        return str(error)
    except (DatabaseError, RedisError, OSError):
        logger.warning("not ready: %s", name, exc_info=True)
        return "does not answer"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    """Every migration of this code has been applied; a newer database is fine (a rolling deployment)."""
    if _migrated.cache_info().currsize:
        return
    loader = MigrationLoader(connection)
    missing = set(loader.disk_migrations) - set(loader.applied_migrations)
    missing -= {key for key in missing if loader.disk_migrations[key].replaces}
    if missing:
        raise NotReady(f"{len(missing)} migration(s) not applied")
    _migrated()


@cached
def _migrated() -> bool:
    """Once applied they stay so; the files are not read again."""
    return True


def _redis() -> None:
    cache.get("readyz")


def _inference() -> None:
    """The inference process, or the head of the Ray that hosts it, accepts a connection."""
    address = urlsplit(settings.INFERENCE_ADDRESS)
    if address.scheme == "unix":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(ANSWER_SECONDS)
            peer.connect(address.path)
        return
    if address.hostname is None:
        return  # "ray:local": Ray knows where; the first call says if nobody answers
    port = address.port or (443 if address.scheme == "https" else 80)
    with socket.create_connection((address.hostname or "", port), timeout=ANSWER_SECONDS):
        return


PARTS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "inference": _inference,
}
