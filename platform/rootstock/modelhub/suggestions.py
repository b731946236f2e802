"""What a deployed model would answer, for the annotation page."""

from __future__ import annotations

from typing import Any

from rootstock.modelhub.inference import (
    InferenceUnavailable,
    ModelUnusable,
    NoDeployment,
    classify,
    resolve,
)
from rootstock.modelhub.models import AnnotationQueue, DatasetExample, Task


def suggest(queue: AnnotationQueue, example: DatasetExample) -> dict[str, Any] | None:
    """{"answer", "probability", "version"}; None when the queue asks no model or the model cannot be asked now."""
    if not queue.deployment or queue.dataset.task != Task.TEXT_CLASSIFICATION:
        return None
    try:
        targets = resolve([queue.deployment])
        result = classify(targets, {queue.deployment: [example.text]})[queue.deployment]
    except (NoDeployment, InferenceUnavailable, ModelUnusable):
        # Annotating goes on without a suggestion; the deployment's page says what is wrong with it.
        return None
    prediction = result.predictions[0]
    if queue.choices and prediction.label not in queue.choices:
        return None
    return {
        "answer": {"label": prediction.label},
        "probability": prediction.probabilities[prediction.label],
        "version": result.version_label,
    }
