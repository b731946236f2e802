"""Which channel a key of a page stands for, and the channels of an organisation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from apps.customer_service.models import Channel
from rootstock.common.problems import Problem
from rootstock.tenancy.rls import call_lookup


@dataclass(frozen=True)
class ChannelDoor:
    """What is known of a channel before its organisation's scope is entered."""

    organisation_id: uuid.UUID
    id: uuid.UUID
    enabled: bool
    origins: tuple[str, ...]


def channel_find(key: str) -> ChannelDoor | None:
    """The channel with this key, in whatever organisation; None when there is none. Needs no scope."""
    for row in call_lookup("service_channel_by_key", key):
        return ChannelDoor(
            organisation_id=row["organisation_id"],
            id=row["id"],
            enabled=row["enabled"],
            origins=tuple(row["origins"]),
        )
    return None


def channel_get(channel_id: uuid.UUID) -> Channel:
    """One channel of the organisation.

    Raises:
        Problem: 404, there is none with this id.
    """
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None:
        raise Problem(404, "not-found", "There is no channel with this id.")
    return channel


def channels_all() -> list[Channel]:
    """Every channel, by name."""
    return list(Channel.objects.order_by("name"))
