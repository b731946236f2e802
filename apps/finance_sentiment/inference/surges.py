"""Surge detectors with the settings of a rule."""

from __future__ import annotations

from typing import Any

from apps.finance_sentiment.models import SurgeRule
from ml_core.detection import (
    Bucket,
    Phase,
    Reason,
    SurgeConfig,
    SurgeDetector,
    SurgeState,
    Verdict,
)

__all__ = [
    "RULE_PARAMETERS",
    "Bucket",
    "Phase",
    "Reason",
    "SurgeDetector",
    "SurgeState",
    "Verdict",
    "surge_config",
    "surge_defaults",
]

# The parameters of a rule that a person may set; the rest follows from the length of a bucket.
RULE_PARAMETERS = (
    "window",
    "minimum_total",
    "minimum_negative",
    "count_factor",
    "share_gain",
    "count_significance",
    "share_significance",
    "pending",
    "recovery",
    "minimum_firing",
)


def surge_config(rule: SurgeRule) -> SurgeConfig:
    """The detector's settings for a rule.

    Raises:
        ValueError: the rule's figures do not fit together.
    """
    figures: dict[str, Any] = {name: getattr(rule, name) for name in RULE_PARAMETERS}
    figures["threshold"] = figures.pop("count_significance")
    default = SurgeConfig.for_bucket(rule.bucket_seconds)
    # What it learns from must be at least one window.
    figures["learning"] = max(default.learning, rule.window)
    return SurgeConfig.for_bucket(rule.bucket_seconds, **figures)


def surge_defaults(bucket_seconds: int) -> dict[str, Any]:
    """The parameters to start from for buckets of this length."""
    config = SurgeConfig.for_bucket(bucket_seconds)
    own = {"count_significance": "threshold"}
    return {name: getattr(config, own.get(name, name)) for name in RULE_PARAMETERS}
