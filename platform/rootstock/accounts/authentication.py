"""How a request proves who it is: an API key or the browser's session."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from rootstock.accounts.models import ApiKey
from rootstock.common.actors import Actor
from rootstock.common.problems import problem_response
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

KEY_START = "rk_"


def key_digest(secret: str) -> bytes:
    """HMAC-SHA256 of a key's secret, 32 bytes. The pepper is derived from the secret key of the installation."""
    pepper = hashlib.sha256(b"rootstock.api-key:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(pepper, secret.encode(), hashlib.sha256).digest()


def enter_with_key(
    request: HttpRequest, within: Callable[[HttpRequest], HttpResponse]
) -> HttpResponse:
    """Answer inside the organisation of the request's API key, or with a 401 problem."""
    token = request.headers["Authorization"].removeprefix("Bearer ").strip()
    row = _find(token)
    if row is None:
        return problem_response(
            401,
            "invalid-key",
            "This API key is not known, has expired or was revoked.",
            headers={"WWW-Authenticate": 'Bearer realm="rootstock"'},
        )
    with organisation_scope(row["organisation_id"]):
        key = ApiKey.objects.get(pk=row["id"])
        _note_use(key)
        request.api_key = key  # type: ignore[attr-defined]
        request.organisation = Organisation.objects.get(pk=key.organisation_id)  # type: ignore[attr-defined]
        request.granted = frozenset(  # type: ignore[attr-defined]
            Permission(scope) for scope in key.scopes if scope in Permission
        )
        request.actor = Actor("api_key", str(key.pk), str(key))  # type: ignore[attr-defined]
        return within(request)


def _find(token: str) -> dict[str, Any] | None:
    prefix, _, secret = token.removeprefix(KEY_START).partition("_")
    if not token.startswith(KEY_START) or not secret or not token.isascii() or "\x00" in token:
        return None
    rows = call_lookup("api_key_lookup", prefix[:16])
    if not rows:
        return None
    row = rows[0]
    if not hmac.compare_digest(bytes(row["digest"]), key_digest(secret)):
        return None
    expired = row["expires_at"] is not None and row["expires_at"] <= timezone.now()
    return None if expired or row["revoked_at"] is not None else row


def _note_use(key: ApiKey) -> None:
    """Remember the last use, at most once a minute: a write for every request would be a lock for every request."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > timedelta(minutes=1):
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


class ApiKeyAuthentication(BaseAuthentication):
    """Tells DRF what the middleware has found out."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """The key as `request.auth`, or None."""
        key = getattr(request._request, "api_key", None)
        return None if key is None else (None, key)

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing credential a 401 rather than a 403."""
        return 'Bearer realm="rootstock"'


class BrowserSessionAuthentication(SessionAuthentication):
    """The dashboard's own calls: session cookie plus CSRF token."""
