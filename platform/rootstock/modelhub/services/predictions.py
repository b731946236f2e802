"""The prediction log."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from rootstock.modelhub.inference import AskedPrediction, DeploymentResult
from rootstock.modelhub.models import Prediction
from rootstock.outbox.services import outbox_write

SHADOW_TOPIC = "modelhub.shadow"
# Texts of one message: what the inference process takes in one call without making others wait long.
_SHADOW_TEXTS = 64


@dataclass(frozen=True)
class Subject:
    """What a prediction is about: ("finance.document", its id)."""

    type: str
    id: uuid.UUID


def predictions_log(*, result: DeploymentResult, subjects: Sequence[Subject]) -> None:
    """Write one row for each prediction of `result`, about the subject at the same place. One statement.

    `latency_ms` of a row is the time of the whole call: a text waits for its batch. Texts that a shadow version is to
    be asked about go out with the same transaction, and are asked by a worker later.

    Raises:
        ValueError: as many subjects as predictions are needed.
    """
    latency_ms = round(result.seconds * 1000, 2)
    Prediction.objects.bulk_create(
        Prediction(
            deployment_id=result.deployment_id,
            version_id=result.version_id,
            subject_type=subject.type,
            subject_id=subject.id,
            label=prediction.label,
            probabilities=[prediction.probabilities[label] for label in result.labels],
            latency_ms=latency_ms,
        )
        for subject, prediction in zip(subjects, result.predictions, strict=True)
    )
    asked = [
        {
            "subject_type": subject.type,
            "subject_id": str(subject.id),
            "text": prediction.text,
            "version": str(result.version_id),
            "label": prediction.label,
            "probability": round(prediction.probabilities[prediction.label], 6),
        }
        for subject, prediction in zip(subjects, result.predictions, strict=True)
        if isinstance(prediction, AskedPrediction)
    ]
    for start in range(0, len(asked), _SHADOW_TEXTS):
        outbox_write(
            SHADOW_TOPIC,
            {
                "deployment": str(result.deployment_id),
                "asked": asked[start : start + _SHADOW_TEXTS],
            },
        )
