"""Identifiers: UUIDv7, so that primary keys sort by time and indexes grow at one end."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from datetime import datetime


def uuid7_floor(moment: datetime) -> uuid.UUID:
    """Below every UUIDv7 that was made at or after a moment, to the millisecond."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | 0x2 << 62)


def uuid7() -> uuid.UUID:
    """A UUIDv7 (RFC 9562, section 5.7 and method 3 of 6.2): Unix time to a quarter of a microsecond, 62 random bits.

    Ids made one after the other in a process sort in that order.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    random_bits = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random_bits)


def uuid_of(value: object) -> uuid.UUID | None:
    """The id that somebody has written; None where it is none."""
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def uuids_of(values: Iterable[object]) -> list[uuid.UUID]:
    """The ids among what somebody has written, in their order."""
    return [found for value in values if (found := uuid_of(value)) is not None]
