"""What PostgreSQL's text and jsonb take."""

from __future__ import annotations

import math
from typing import Any


def storable(text: str) -> bool:
    """Whether there is no NUL in it, and no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def simple(value: Any) -> bool:
    """Whether it is a text that can be stored, a finite number, yes, no or nothing: no list or object."""
    if isinstance(value, str):
        return storable(value)
    return isinstance(value, int | None) or (isinstance(value, float) and math.isfinite(value))
