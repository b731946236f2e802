"""Which streams there are, and who may read them."""

from __future__ import annotations

import re
import uuid

from rootstock.tenancy.permissions import Permission

# Also what a channel layer accepts in a group name, short enough to follow an organisation's id.
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,59}")
_streams: dict[str, Permission] = {}
_families: dict[str, Permission] = {}


class UnknownStream(LookupError):
    """No stream of this name is registered."""


def register(name: str, *, permission: Permission) -> None:
    """Add a stream that those who hold `permission` may read; call it in `AppConfig.ready`.

    Raises:
        ValueError: the name is not lower-case letters, digits, "._-", at most 60 long.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a stream name: {name!r}")
    _streams[name] = permission


def register_family(start: str, *, permission: Permission) -> None:
    """Add all streams whose names begin with `start` and go on: one a conversation, one an order.

    They come into being with their first event. What may be read in them is decided by `permission` alone.

    Raises:
        ValueError: the start is not a stream name that ends in a full stop.
    """
    if not _NAME.fullmatch(start) or not start.endswith("."):
        raise ValueError(f"not the start of stream names: {start!r}")
    _families[start] = permission


def permission_of(name: str) -> Permission:
    """What reading the stream needs.

    Raises:
        UnknownStream: neither it nor a family of it is registered.
    """
    if isinstance(name, str):
        if name in _streams:
            return _streams[name]
        for start, permission in _families.items():
            if name.startswith(start) and len(name) > len(start) and _NAME.fullmatch(name):
                return permission
    raise UnknownStream(f"no stream {name!r}")


def stream_names() -> list[str]:
    """All single streams, sorted."""
    return sorted(_streams)


def group_name(organisation_id: uuid.UUID, stream: str) -> str:
    """The channel layer group that hears when the stream advances."""
    return f"{organisation_id.hex}.{stream}"
