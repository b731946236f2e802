"""What a deployed model would answer, for the annotation page."""

from __future__ import annotations

from typing import Any

from rootstock.modelhub.inference import (
    InferenceUnavailable,
    ModelUnusable,
    NoDeployment,
    ask,
    classify,
    resolve,
)
from rootstock.modelhub.models import AnnotationQueue, DatasetExample, Task

_ASKED = (Task.TEXT_CLASSIFICATION, Task.SPAN_CLASSIFICATION)


def suggest(queue: AnnotationQueue, example: DatasetExample) -> dict[str, Any] | None:
    """{"answer", "probability", "version"}; None when the queue asks no model or the model cannot be asked now."""
    if not queue.deployment or queue.dataset.task not in _ASKED:
        return None
    if queue.dataset.task == Task.SPAN_CLASSIFICATION:
        return _suggest_spans(queue, example)
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


def _suggest_spans(queue: AnnotationQueue, example: DatasetExample) -> dict[str, Any] | None:
    """A label for each span; the probability is that of the least certain."""
    row = {name: example.content[name] for name in ("text", "spans")}
    try:
        targets = resolve([queue.deployment])
        _texts, found = ask(targets, {}, {queue.deployment: [row]})
    except (NoDeployment, InferenceUnavailable, ModelUnusable):
        return None
    spans = found[queue.deployment][0].get("spans", [])
    labels = [span["label"] for span in spans]
    if not labels or (queue.choices and not set(labels) <= set(queue.choices)):
        return None
    return {
        "answer": {"labels": labels},
        "probability": min(span["probabilities"][span["label"]] for span in spans),
        "version": targets[queue.deployment].version_label,
    }
