"""Predictions by the name of a deployment, whatever its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem
from rootstock.gateway.inference import Local, classify, predict
from rootstock.modelhub.models import Task
from rootstock.modelhub.selectors import deployment_get
from rootstock.modelhub.services import Subject, predictions_log
from rootstock.tenancy.scope import current_organisation_id

SUBJECT = "api.prediction"
_TEXTS = {
    Task.TEXT_CLASSIFICATION,
    Task.MULTI_LABEL_CLASSIFICATION,
    Task.TOKEN_CLASSIFICATION,
    Task.TEXT_EMBEDDING,
}


@dataclass(frozen=True)
class Predicted:
    """What a deployment's version said to each input."""

    model: str
    version: str
    task: str
    outputs: list[dict[str, Any]]


def predictions_make(*, name: str, inputs: Sequence[str | Mapping[str, Any]]) -> Predicted:
    """Ask the version that is deployed as `name`. Classifications are written to the prediction log, each under the
    "id" of its output, by which a label that arrives later finds it.

    Raises:
        Problem: 404 nothing is deployed so; 422 an input is not one of the task; the model does not answer.
    """
    deployment = deployment_get(name)
    if deployment is None:
        raise Problem(
            404,
            "model-not-found",
            f"Nothing is deployed as {name[:200]!r}.",
            errors=[{"pointer": "/model", "detail": "no such deployment"}],
        )
    task, version = Task(deployment.task), deployment.version
    for place, item in enumerate(inputs):
        if isinstance(item, str) != (task in _TEXTS):
            expected = "a text" if task in _TEXTS else "an object"
            raise _refused(place, f"{task} takes {expected}.")
        if isinstance(item, str) and not item.strip():
            raise _refused(place, "The text is empty.")
    if task == Task.TEXT_CLASSIFICATION:
        outputs = _classified(name, [str(text) for text in inputs])
    else:
        target = Local(name, task, version.artifact_path, version.digest)
        outputs = predict(target, inputs, organisation=str(current_organisation_id()))
    return Predicted(name, version.label, task, outputs)


def _classified(name: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    result, outputs = classify(name, texts)
    if result is None:
        return outputs
    subjects = []
    for text, output in zip(texts, outputs, strict=True):
        if "label" in output:
            subjects.append(Subject(SUBJECT, uuid7(), text))
            output["id"] = str(subjects[-1].id)
    predictions_log(result=result, subjects=subjects)
    return outputs


def _refused(place: int, detail: str) -> Problem:
    return Problem(
        422, "invalid", detail, errors=[{"pointer": f"/inputs/{place}", "detail": detail}]
    )
