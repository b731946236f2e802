"""Detection of surges in counted streams: pure functions of buckets, states as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Bucket": "types",
        "LateBucket": "types",
        "Phase": "types",
        "Reason": "types",
        "SurgeConfig": "types",
        "SurgeDetector": "surge",
        "SurgeState": "types",
        "Verdict": "types",
    },
)
