"""The prediction log, and what is counted and collected of live answers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from ml_core.text import detect_language
from rootstock.modelhub.inference import AskedPrediction, DeploymentResult
from rootstock.modelhub.inference import Prediction as Said
from rootstock.modelhub.models import Prediction, Role
from rootstock.modelhub.monitoring.splitting import CanaryNote
from rootstock.modelhub.monitoring.tallies import Tally
from rootstock.modelhub.services.drift import LiveText, drift_collect
from rootstock.modelhub.services.traffic import Key, traffic_add
from rootstock.outbox.services import outbox_write

SHADOW_TOPIC = "modelhub.shadow"
# Texts of one message: what the inference process takes in one call without making others wait long.
_SHADOW_TEXTS = 64


@dataclass(frozen=True)
class Subject:
    """What a prediction is about: ("finance.document", its id).

    With its text the deployment's input is watched for drift; without it only the answers are counted. A `language`
    that the application knows need not be detected.
    """

    type: str
    id: uuid.UUID
    text: str = ""
    language: str = ""


@dataclass(frozen=True)
class _Answer:
    """A prediction with its subject and the version that made it: the deployed one or its canary."""

    subject: Subject
    said: Said
    version_id: uuid.UUID
    labels: tuple[str, ...]
    milliseconds: float
    canary: CanaryNote | None

    @classmethod
    def of(cls, result: DeploymentResult, subject: Subject, said: Said) -> Self:
        if subject.text and not subject.language:
            subject = replace(subject, language=detect_language(subject.text))
        note = said.canary if isinstance(said, AskedPrediction) else None
        if note is None or note.failed:
            by = (result.version_id, result.labels, result.seconds)
        else:
            by = (note.version_id, note.labels, note.seconds)
        return cls(subject, said, by[0], by[1], round(by[2] * 1000, 2), note)

    @property
    def probability(self) -> float:
        """Of the label."""
        return self.said.probabilities[self.said.label]


def predictions_log(*, result: DeploymentResult, subjects: Sequence[Subject]) -> None:
    """Write one row for each prediction of `result`, about the subject at the same place. One statement.

    `latency_ms` of a row is the time of the whole call: a text waits for its batch. Texts that a shadow version is to
    be asked about go out with the same transaction, and are asked by a worker later. What was answered is counted for
    the page Monitoring, and texts are collected while a window of the drift test is being filled.

    Raises:
        ValueError: as many subjects as predictions are needed.
    """
    answers = [
        _Answer.of(result, subject, said)
        for subject, said in zip(subjects, result.predictions, strict=True)
    ]
    Prediction.objects.bulk_create(
        Prediction(
            deployment_id=result.deployment_id,
            version_id=answer.version_id,
            subject_type=answer.subject.type,
            subject_id=answer.subject.id,
            label=answer.said.label,
            probabilities=[answer.said.probabilities[label] for label in answer.labels],
            latency_ms=answer.milliseconds,
        )
        for answer in answers
    )
    traffic_add(deployment_id=result.deployment_id, tallies=_tallies(result, answers))
    drift_collect(
        deployment_id=result.deployment_id,
        version_id=result.version_id,
        texts=[
            LiveText(
                answer.subject.text, answer.subject.language, answer.said.label, answer.probability
            )
            for answer in answers
            if answer.subject.text and answer.version_id == result.version_id
        ],
    )
    asked = [
        {
            "subject_type": answer.subject.type,
            "subject_id": str(answer.subject.id),
            "text": answer.said.text,
            "version": str(answer.version_id),
            "label": answer.said.label,
            "probability": round(answer.probability, 6),
        }
        for answer in answers
        if isinstance(answer.said, AskedPrediction) and answer.said.text
    ]
    for start in range(0, len(asked), _SHADOW_TEXTS):
        outbox_write(
            SHADOW_TOPIC,
            {
                "deployment": str(result.deployment_id),
                "asked": asked[start : start + _SHADOW_TEXTS],
            },
        )


def _tallies(result: DeploymentResult, answers: Sequence[_Answer]) -> dict[Key, Tally]:
    """What each version has answered; a canary that could not answer has failed once for each text."""
    tallies: dict[Key, Tally] = {}
    for answer in answers:
        note = answer.canary
        role = Role.CANARY if note is not None and not note.failed else Role.LIVE
        tallies.setdefault((answer.version_id, role), Tally()).add(
            label=answer.said.label,
            confidence=answer.probability,
            milliseconds=answer.milliseconds,
            language=answer.subject.language,
            length=len(answer.subject.text) if answer.subject.text else None,
        )
        if note is not None and note.failed:
            tallies.setdefault((note.version_id, Role.CANARY), Tally()).failed += 1
    return tallies
