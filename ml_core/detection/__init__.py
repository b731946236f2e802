"""Detection of surges in counted streams: pure functions of buckets, states as plain JSON."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.detection.surge import SurgeDetector
    from ml_core.detection.types import (
        Bucket,
        LateBucket,
        Phase,
        Reason,
        SurgeConfig,
        SurgeState,
        Verdict,
    )

__all__ = [
    "Bucket",
    "LateBucket",
    "Phase",
    "Reason",
    "SurgeConfig",
    "SurgeDetector",
    "SurgeState",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "surge" if name == "SurgeDetector" else "types"
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
