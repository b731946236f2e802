"""Who does something: a person, an API key or the system itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["user", "api_key", "system"]


@dataclass(frozen=True)
class Actor:
    """The author of a change, as the audit log names it."""

    kind: ActorKind
    id: str
    label: str


SYSTEM = Actor(kind="system", id="system", label="Rootstock")
