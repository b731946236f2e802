"""Detection of surges in counted streams and of drift in what models are asked: pure functions, no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.detection.counters import DETECTORS
    from ml_core.detection.drift import (
        DriftError,
        DriftReference,
        DriftRows,
        DriftStream,
        DriftVerdict,
        DriftWindow,
    )
    from ml_core.detection.surge import SurgeDetector
    from ml_core.detection.types import (
        THRESHOLDS,
        Bucket,
        LateBucket,
        Measure,
        Phase,
        Reason,
        SurgeConfig,
        SurgeState,
        Verdict,
    )

__all__ = [
    "DETECTORS",
    "THRESHOLDS",
    "Bucket",
    "DriftError",
    "DriftReference",
    "DriftRows",
    "DriftStream",
    "DriftVerdict",
    "DriftWindow",
    "LateBucket",
    "Measure",
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
        "DETECTORS": "counters",
        "DriftError": "drift",
        "DriftReference": "drift",
        "DriftRows": "drift",
        "DriftStream": "drift",
        "DriftVerdict": "drift",
        "DriftWindow": "drift",
        "LateBucket": "types",
        "Measure": "types",
        "Phase": "types",
        "Reason": "types",
        "SurgeConfig": "types",
        "SurgeDetector": "surge",
        "SurgeState": "types",
        "THRESHOLDS": "types",
        "Verdict": "types",
    },
)
