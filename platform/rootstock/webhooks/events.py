"""Which events an endpoint can subscribe to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


class UnknownEvent(LookupError):
    """No event type of this name is registered."""


@dataclass(frozen=True)
class EventType:
    """Something that is told to subscribers."""

    name: str
    description: str | Promise


_types: dict[str, EventType] = {}


def register(name: str, description: str | Promise) -> None:
    """Add an event type; call it in `AppConfig.ready`.

    Raises:
        ValueError: the name is not like `finance.alert.opened`.
    """
    if not _NAME.fullmatch(name) or len(name) > 80:
        raise ValueError(f"not the name of an event type: {name!r}")
    _types[name] = EventType(name, description)


def event_types() -> list[EventType]:
    """All that can be subscribed to, by name."""
    return [_types[name] for name in sorted(_types)]


def event_type_get(name: str) -> EventType:
    """One event type.

    Raises:
        UnknownEvent: it is not registered.
    """
    try:
        return PING if name == PING.name else _types[name]
    except KeyError:
        raise UnknownEvent(f"no event type {name!r}") from None


PING = EventType("webhook.ping", _("A test, sent on request"))
