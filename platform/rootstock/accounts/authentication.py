"""How a request proves who it is: an API key or the browser's session."""

from __future__ import annotations

import hmac
import ipaddress
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from rootstock.accounts.keys import KEY_START, key_digest, key_matches, key_parts
from rootstock.common.middleware import current_client_ip
from rootstock.tenancy.rls import call_lookup

__all__ = [
    "KEY_START",
    "ApiKeyAuthentication",
    "BrowserSessionAuthentication",
    "FoundKey",
    "KeyRefused",
    "bearer_token",
    "key_digest",
    "key_find",
]

# Compared with when no row has the prefix, so that a prefix cannot be told from the time an answer takes.
_NO_DIGEST = bytes(32)


@dataclass(frozen=True)
class FoundKey:
    """A key whose secret was right and which may be used now."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    last_used_at: datetime | None
    renew: str | None  # its secret, when the digest is of a former pepper


class KeyRefused(Exception):
    """A key that opens nothing. Only whoever has the secret is told more than that it is not known."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def bearer_token(request: HttpRequest) -> str | None:
    """What follows `Authorization: Bearer`, in any case; None without that header."""
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def key_find(token: str, request: HttpRequest) -> FoundKey:
    """The key of this text, found before any organisation is known.

    Raises:
        KeyRefused: not known, revoked, expired, or used from a network that it is not bound to.
    """
    parts = key_parts(token)
    rows = call_lookup("api_key_lookup", parts[0]) if parts else []
    secret = parts[1] if parts else ""
    row: dict[str, Any] = rows[0] if rows else {"digest": _NO_DIGEST, "previous_digest": None}
    now = timezone.now()
    matches = key_matches(secret, bytes(row["digest"]))
    by_previous = False
    if row["previous_digest"] is not None and row["previous_expires_at"] > now:
        by_previous = key_matches(secret, bytes(row["previous_digest"]))
    if not rows or not (matches or by_previous):
        raise KeyRefused("invalid-key", _("This API key is not known."))
    if row["revoked_at"] is not None:
        raise KeyRefused("revoked-key", _("This API key was revoked."))
    if row["expires_at"] is not None and row["expires_at"] <= now:
        raise KeyRefused("expired-key", _("This API key has expired."))
    if row["networks"] and not _within(current_client_ip(), row["networks"]):
        raise KeyRefused("key-network", _("This API key may not be used from this address."))
    outdated = matches and not hmac.compare_digest(bytes(row["digest"]), key_digest(secret))
    return FoundKey(
        id=row["id"],
        organisation_id=row["organisation_id"],
        last_used_at=row["last_used_at"],
        renew=secret if outdated else None,
    )


def _within(address: str | None, networks: list[str]) -> bool:
    if address is None:
        return False
    ip = ipaddress.ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in ipaddress.ip_network(network) for network in networks)


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
