"""Adding, testing and removing connections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.http import AddressRefused, check_url
from rootstock.gateway.models import Connection

MAX_CONNECTIONS = 20
MAX_OFFERED = 500
TIMEOUTS = (1, 600)
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def connection_create(
    *, name: str, base_url: str, actor: Actor, api_key: str = "", timeout_seconds: int = 60
) -> Connection:
    """Add a connection.

    Raises:
        ValidationError: the name is taken or has another form, the address is not allowed, or there are too many.
    """
    if Connection.objects.count() >= MAX_CONNECTIONS:
        raise ValidationError(
            _("There are at most %(most)s connections.") % {"most": MAX_CONNECTIONS}
        )
    connection = Connection(
        name=_checked_name(name),
        base_url=_checked_url(base_url),
        api_key=_checked_key(api_key),
        timeout_seconds=_checked_timeout(timeout_seconds),
        created_by=actor.label[:200],
    )
    connection.save(force_insert=True)
    _record(actor, "created", connection, {"base_url": base_url, "key": connection.has_key})
    return connection


def connection_update(
    *,
    connection: Connection,
    actor: Actor,
    base_url: str | None = None,
    timeout_seconds: int | None = None,
) -> Connection:
    """Change what is given. A key is not sent to another host than it was given for: with a new host it is dropped.

    Raises:
        ValidationError: the address or the timeout is not allowed.
    """
    changes: dict[str, Any] = {}
    if base_url is not None and base_url.rstrip("/") != connection.base_url:
        # The old one may have been allowed once and be so no longer: it is not checked.
        old, connection.base_url = connection.base_url, _checked_url(base_url)
        changes["base_url"] = connection.base_url
        if _origin(old) != _origin(connection.base_url) and connection.has_key:
            connection.api_key = ""
            changes["key"] = False
        connection.checked_at, connection.problem, connection.offered = None, "", []
    if timeout_seconds is not None and timeout_seconds != connection.timeout_seconds:
        connection.timeout_seconds = _checked_timeout(timeout_seconds)
        changes["timeout_seconds"] = timeout_seconds
    if changes:
        connection.save()
        _record(actor, "changed", connection, changes)
    return connection


def connection_rotate_key(*, connection: Connection, actor: Actor, api_key: str) -> Connection:
    """Show the server another key from now on; none when it is empty."""
    connection.api_key = _checked_key(api_key)
    connection.checked_at, connection.problem = None, ""
    connection.save()
    _record(actor, "key_rotated", connection, {"key": connection.has_key})
    return connection


def connection_note_check(
    *, connection: Connection, offered: Sequence[str], problem: str = ""
) -> Connection:
    """Remember what a test found: the models that the server offers, or why it did not work."""
    connection.checked_at = timezone.now()
    connection.problem = problem[:500]
    if not problem:
        connection.offered = [name for name in offered if len(name) <= 200][:MAX_OFFERED]
    connection.save()
    return connection


def connection_delete(*, connection: Connection, actor: Actor) -> None:
    """Forget a connection and its key."""
    _record(actor, "deleted", connection, {"base_url": connection.base_url})
    connection.delete()


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _checked_name(name: str) -> str:
    if len(name) > 40 or not _NAME.fullmatch(name):
        raise ValidationError(
            {
                "name": _(
                    "Use small letters, digits and hyphens, beginning with a letter, at most 40."
                )
            }
        )
    if Connection.objects.filter(name=name).exists():
        raise ValidationError({"name": _("There is a connection of this name already.")})
    return name


def _checked_url(url: str) -> str:
    try:
        parsed = check_url(url)
    except AddressRefused as error:
        raise ValidationError({"base_url": str(error)}) from error
    if parsed.query or parsed.fragment:
        raise ValidationError({"base_url": _("The address must not have a query or a fragment.")})
    return str(parsed).rstrip("/")


def _checked_key(key: str) -> str:
    key = key.strip()
    if len(key) > 500 or not key.isascii() or not (key.isprintable() or not key):
        raise ValidationError({"api_key": _("A key is at most 500 printable ASCII characters.")})
    return key


def _checked_timeout(seconds: int) -> int:
    if not TIMEOUTS[0] <= seconds <= TIMEOUTS[1]:
        raise ValidationError(
            {
                "timeout_seconds": _("From %(least)s to %(most)s seconds.")
                % {"least": TIMEOUTS[0], "most": TIMEOUTS[1]}
            }
        )
    return seconds


def _record(actor: Actor, action: str, connection: Connection, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"connection.{action}",
        target="connection",
        target_id=str(connection.pk),
        changes={"name": connection.name, **changes},
    )
