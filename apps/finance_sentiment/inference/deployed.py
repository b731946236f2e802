"""Asking the deployed models about documents."""

from __future__ import annotations

from collections.abc import Sequence

from apps.finance_sentiment.inference.reading import Reading
from rootstock.modelhub.inference import (
    NoDeployment,
    Prediction,
    Target,
    classify,
    resolve,
)

SENTIMENT = "finance.sentiment"
TOPIC = "finance.topic"
# What predictions about a document are logged under.
SUBJECT = "finance.document"


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
