"""The checks of the gate, in the order in which they are made and shown.

One more is one more line here; an app adds its own from `AppConfig.ready`:

    from rootstock.modelhub import gate
    gate.register(gate.Check(key="fairness", title=…, asks=…, judge=…))
"""

from __future__ import annotations

from rootstock.modelhub.gate import (
    artifact,
    calibration,
    fit,
    forgetting,
    latency,
    loads,
    quality,
    size,
    worst_slice,
)
from rootstock.modelhub.gate.base import Check

CHECKS: list[Check] = [
    artifact.CHECK,
    fit.CHECK,
    quality.CHECK,
    forgetting.CHECK,
    calibration.CHECK,
    worst_slice.CHECK,
    size.CHECK,
    loads.CHECK,
    latency.CHECK,
]


def register(check: Check) -> None:
    """Add a check of an app.

    Raises:
        ValueError: there is one of this key.
    """
    if any(each.key == check.key for each in CHECKS):
        raise ValueError(f"there are two checks of the key {check.key!r}")
    CHECKS.append(check)


def check_get(key: str) -> Check | None:
    """The check of this key; None when it is not installed (any more)."""
    return next((check for check in CHECKS if check.key == key), None)
