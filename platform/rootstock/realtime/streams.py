"""Which streams there are, and who may read them."""

from __future__ import annotations

import re
import uuid

from rootstock.tenancy.permissions import Permission

# Also what a channel layer accepts in a group name, short enough to follow an organisation's id.
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,59}")
_streams: dict[str, Permission] = {}


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


def permission_of(name: str) -> Permission:
    """What reading the stream needs.

    Raises:
        UnknownStream: it is not registered.
    """
    try:
        return _streams[name]
    except (KeyError, TypeError):
        raise UnknownStream(f"no stream {name!r}") from None


def stream_names() -> list[str]:
    """All streams, sorted."""
    return sorted(_streams)


def group_name(organisation_id: uuid.UUID, stream: str) -> str:
    """The channel layer group that hears when the stream advances."""
    return f"{organisation_id.hex}.{stream}"
