"""How a value is refused."""

from __future__ import annotations

from rootstock.common.problems import Problem


def taken(pointer: str, detail: str) -> Problem:
    """A 409 for a name that something else has."""
    return Problem(409, "taken", detail, errors=[{"pointer": pointer, "detail": detail}])
