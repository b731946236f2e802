"""The monitor's only door to models and algorithms: reading texts, classifying them, finding surges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
from ml_core.text import (
    content_hash,
    detect_language,
    estimated_jaccard,
    lsh_bands,
    minhash_signature,
    near_duplicate,
    normalise,
)
from rootstock.modelhub.inference import (
    DeploymentResult,
    InferenceUnavailable,
    ModelUnusable,
    NoDeployment,
    Prediction,
    Target,
    answering,
    classify,
    resolve,
)

__all__ = [
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

SENTIMENT = "finance.sentiment"
TOPIC = "finance.topic"
# What predictions about a document are logged under.
SUBJECT = "finance.document"

# The models read no more than the beginning; the rest would only travel to be cut off.
READ_CHARACTERS = 2000
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


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is, before any model has seen it."""

    text: str
    language: str
    content_hash: bytes
    signature: bytes
    bands: list[int] = field(default_factory=list)

    @property
    def has_words(self) -> bool:
        """Whether there is any letter or digit to read."""
        return bool(self.bands)


def read_text(*, title: str, body: str, hint: str) -> Reading:
    """Language, keys for duplicates, and the text that models get.

    Exact duplicates are equal in title and body; near duplicates are looked for by the title.
    """
    text = normalise(f"{title}\n{body[:READ_CHARACTERS]}" if body else title)
    signature = minhash_signature(title)
    return Reading(
        text=text[:READ_CHARACTERS],
        language=detect_language(text, hint=hint or None),
        content_hash=content_hash(f"{title}\n{body}" if body else title),
        signature=signature.astype("<u4").tobytes(),
        bands=lsh_bands(signature),
    )


def targets_resolve() -> dict[str, Target]:
    """What answers for sentiment and topic at this moment; a name that is not deployed is absent."""
    targets: dict[str, Target] = {}
    for name in (SENTIMENT, TOPIC):
        try:
            targets.update(resolve([name]))
        except NoDeployment:
            continue
    return targets


def classify_batch(
    targets: dict[str, Target], texts: Sequence[Reading]
) -> dict[str, dict[int, Prediction]]:
    """Predictions by deployment and place in `texts`, in one call; only of texts the model can read.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    places = {
        name: [
            place
            for place, reading in enumerate(texts)
            if reading.has_words and reading.language in target.languages
        ]
        for name, target in targets.items()
    }
    results = classify(
        targets,
        {name: [texts[place].text for place in wanted] for name, wanted in places.items()},
    )
    return {
        name: dict(zip(wanted, results[name].predictions, strict=True))
        for name, wanted in places.items()
    }


def surge_config(rule: SurgeRule) -> SurgeConfig:
    """The detector's settings for a rule.

    Raises:
        ValueError: the rule's figures do not fit together.
    """
    figures: dict[str, Any] = {name: getattr(rule, name) for name in RULE_PARAMETERS}
    default = SurgeConfig.for_bucket(rule.bucket_seconds)
    # What it learns from must be at least one window.
    figures["learning"] = max(default.learning, rule.window)
    return SurgeConfig.for_bucket(rule.bucket_seconds, **figures)


def surge_defaults(bucket_seconds: int) -> dict[str, Any]:
    """The parameters to start from for buckets of this length."""
    config = SurgeConfig.for_bucket(bucket_seconds)
    return {name: getattr(config, name) for name in RULE_PARAMETERS}
