"""The monitor's only door to models and algorithms: one module for each kind of question."""

from __future__ import annotations

from apps.finance_sentiment.inference.deployed import (
    SENTIMENT,
    SUBJECT,
    TOPIC,
    classify_batch,
    targets_resolve,
)
from apps.finance_sentiment.inference.reading import (
    Reading,
    estimated_jaccard,
    near_duplicate,
    read_text,
)
from apps.finance_sentiment.inference.surges import (
    RULE_PARAMETERS,
    Bucket,
    Phase,
    Reason,
    SurgeDetector,
    SurgeState,
    Verdict,
    surge_config,
    surge_defaults,
)
from rootstock.modelhub.inference import (
    DeploymentResult,
    InferenceUnavailable,
    ModelUnusable,
    Prediction,
    Target,
    answering,
)

__all__ = [
    "RULE_PARAMETERS",
    "SENTIMENT",
    "SUBJECT",
    "TOPIC",
    "Bucket",
    "DeploymentResult",
    "InferenceUnavailable",
    "ModelUnusable",
    "Phase",
    "Prediction",
    "Reading",
    "Reason",
    "SurgeDetector",
    "SurgeState",
    "Target",
    "Verdict",
    "answering",
    "classify_batch",
    "estimated_jaccard",
    "near_duplicate",
    "read_text",
    "surge_config",
    "surge_defaults",
    "targets_resolve",
]
