"""Surge detectors with the settings of a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.finance_sentiment.models import Rule
from ml_core.detection import (
    DETECTORS,
    THRESHOLDS,
    Bucket,
    Measure,
    Phase,
    Reason,
    SurgeConfig,
    SurgeDetector,
    SurgeState,
    Verdict,
)

__all__ = [
    "DEFAULT_DETECTOR",
    "DETECTOR_NAMES",
    "RULE_FIGURES",
    "Bucket",
    "Phase",
    "Reason",
    "SurgeDetector",
    "SurgeState",
    "Verdict",
    "detector_options",
    "surge_config",
    "surge_defaults",
    "surge_memory",
]

DETECTOR_NAMES = tuple(THRESHOLDS)
DEFAULT_DETECTOR = SurgeConfig().detector
# The figures of a rule; the rest follows from the length of a bucket.
RULE_FIGURES = (
    "window",
    "minimum_total",
    "minimum_negative",
    "count_factor",
    "share_gain",
    "threshold",
    "share_significance",
    "pending",
    "clear_ratio",
    "recovery",
    "minimum_firing",
)


def detector_options(detector: str) -> tuple[str, ...]:
    """What `Rule.parameters` may have for this detector besides the figures of every rule.

    Raises:
        ValueError: there is no such detector.
    """
    if detector not in DETECTORS:
        raise ValueError(f"there is no detector {detector!r}; there are {', '.join(DETECTORS)}")
    return DETECTORS[detector].options


def surge_config(rule: Rule) -> SurgeConfig:
    """The detector's settings for a rule.

    Raises:
        ValueError: the rule's figures do not fit together; the message says which.
    """
    figures: dict[str, Any] = {name: getattr(rule, name) for name in RULE_FIGURES}
    options = _options(rule.detector, rule.parameters)
    default = SurgeConfig.for_bucket(rule.bucket_seconds, detector=rule.detector)
    # What it learns from must be at least one window.
    figures["learning"] = max(default.learning, rule.window)
    return SurgeConfig.for_bucket(
        rule.bucket_seconds,
        measure=Measure(rule.measure),
        detector=rule.detector,
        **{**figures, **options},
    )


def _options(detector: str, given: Mapping[str, Any]) -> dict[str, Any]:
    known, options = detector_options(detector), {}
    for name, told in given.items():
        if name not in known:
            raise ValueError(f"{detector} has no parameter {name!r}; it has {', '.join(known)}")
        wanted = {"season": bool, "history": int}.get(name, float)
        value = float(told) if wanted is float and type(told) is int else told
        if type(value) is not wanted:
            raise ValueError(f"{name} must be {_KINDS[wanted]}, got {value!r}")
        options[name] = value
    return options


_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def surge_defaults(
    bucket_seconds: int, detector: str = DEFAULT_DETECTOR, measure: str = Rule.Measure.NEGATIVES
) -> dict[str, Any]:
    """The figures to start from for buckets of this length: what was measured best.

    Raises:
        ValueError: there is no such detector, or no such measure.
    """
    config = SurgeConfig.for_bucket(bucket_seconds, detector=detector, measure=Measure(measure))
    return {name: getattr(config, name) for name in RULE_FIGURES}


def surge_memory(config: SurgeConfig) -> int:
    """How many buckets before a moment still tell of what is usual at it."""
    return int(config.learning + config.window + 3 * config.slow_half_life)
