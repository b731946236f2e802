"""Ask the deployed models. The only place that talks to the inference process.

    with organisation_scope(organisation_id):
        targets = resolve(["finance.sentiment", "finance.topic"])     # two indexed rows
    results = classify(targets, {"finance.sentiment": texts, …})       # no database, no transaction held open

`classify_texts` does both in one call for a caller that is inside a scope anyway.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from django.conf import settings

from ml_core import serving
from ml_core.models import Prediction, default_base
from rootstock.modelhub.models import Deployment, ModelVersion
from rootstock.modelhub.monitoring.splitting import CanaryNote, falls_to_canary
from rootstock.modelhub.storage import (
    StorageProblem,
    StoreUnavailable,
    absolute_path,
    local_artifact,
)

__all__ = [
    "AskedPrediction",
    "DeploymentResult",
    "InferenceUnavailable",
    "ModelUnusable",
    "NoDeployment",
    "Prediction",
    "Target",
    "answer_times",
    "answering",
    "ask",
    "base_languages",
    "classify",
    "classify_texts",
    "embed_by_model",
    "embed_texts",
    "load_version",
    "resolve",
    "version_target",
]

_Result = TypeVar("_Result")
# What a model is asked about: a text, or a row of its task.
Row = str | Mapping[str, Any]

TIMEOUT_SECONDS = 30.0
# Loading reads the weights from disk and runs them once.
LOAD_TIMEOUT_SECONDS = 120.0
_RETRY_SECONDS = 2.0
# Texts of one call for vectors.
EMBED_TEXTS = 64

logger = logging.getLogger(__name__)


class NoDeployment(LookupError):
    """The organisation has deployed no model under this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"nothing is deployed as {name!r}")
        self.name = name


class InferenceUnavailable(Exception):
    """No answer at the moment; the same call can succeed after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float = _RETRY_SECONDS) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelUnusable(Exception):
    """The inference process cannot use the model: its files are gone, damaged or do not load."""


@dataclass(frozen=True)
class Target:
    """A deployment and the version that answers for it at this moment.

    `languages` are the ISO 639-1 codes the model can read: texts in other languages must not be sent. `shadow_rate` is
    the share of the texts that a shadow version is asked about afterwards; 0 without a shadow. `canary` answers
    `canary_share` of the texts in its place. `organisation` is for whom, in the metrics of the inference process.
    """

    name: str
    deployment_id: uuid.UUID
    version_id: uuid.UUID
    version_label: str
    languages: tuple[str, ...]
    labels: tuple[str, ...]
    model_path: str
    artifact_path: str = ""
    digest: str = ""
    shadow_rate: float = 0.0
    canary: Target | None = None
    canary_share: float = 0.0
    organisation: str = ""


@dataclass(frozen=True)
class AskedPrediction(Prediction):
    """An answer with what `predictions_log` has to know of it.

    `text`, because a shadow version is to be asked the same; `canary`, because its text fell to the canary.
    """

    text: str = ""
    canary: CanaryNote | None = None


@dataclass(frozen=True)
class DeploymentResult:
    """One prediction per text, in order, and which version made them. `seconds` is the time of the whole call."""

    deployment_id: uuid.UUID
    version_id: uuid.UUID
    version_label: str
    languages: tuple[str, ...]
    labels: tuple[str, ...]
    predictions: list[Prediction] = field(default_factory=list)
    seconds: float = 0.0


def resolve(names: Iterable[str]) -> dict[str, Target]:
    """The current version behind each name, read inside the caller's scope, so that a promotion counts at once.

    Raises:
        NoDeployment: for the first name that is not deployed.
    """
    wanted = list(dict.fromkeys(names))
    rows = (
        Deployment.objects.filter(name__in=wanted)
        .select_related("version", "canary")
        .defer("version__card", "version__metrics", "version__code")
        .defer("canary__card", "canary__metrics", "canary__code")
    )
    targets = {
        deployment.name: Target(
            name=deployment.name,
            deployment_id=deployment.pk,
            version_id=deployment.version_id,
            version_label=deployment.version.label,
            languages=tuple(deployment.version.languages),
            labels=tuple(deployment.version.labels),
            model_path=str(absolute_path(deployment.version.artifact_path)),
            artifact_path=deployment.version.artifact_path,
            digest=deployment.version.digest,
            shadow_rate=deployment.shadow_rate if deployment.shadow_id else 0.0,
            canary=version_target(deployment, deployment.canary) if deployment.canary else None,
            canary_share=deployment.canary_share,
            organisation=str(deployment.organisation_id),
        )
        for deployment in rows
    }
    for name in wanted:
        if name not in targets:
            raise NoDeployment(name)
    return targets


def version_target(deployment: Deployment, version: ModelVersion) -> Target:
    """A version that is asked beside the deployed one, as its shadow or canary."""
    return Target(
        name=deployment.name,
        deployment_id=deployment.pk,
        version_id=version.pk,
        version_label=version.label,
        languages=tuple(version.languages),
        labels=tuple(version.labels),
        model_path=str(absolute_path(version.artifact_path)),
        artifact_path=version.artifact_path,
        digest=version.digest,
        organisation=str(deployment.organisation_id),
    )


def classify(
    targets: Mapping[str, Target], requests: Mapping[str, Sequence[str]]
) -> dict[str, DeploymentResult]:
    """One call to the inference process for all deployments; no texts for a name give no predictions.

    Texts that fall to a canary are asked of it, in a call of its own; what it cannot answer the deployed version does.

    Raises:
        InferenceUnavailable: nobody answers, the queue is full or the answer takes too long.
        ModelUnusable: a model cannot be loaded.
    """
    return ask(targets, requests, {})[0]


def ask(
    targets: Mapping[str, Target],
    requests: Mapping[str, Sequence[str]],
    rows: Mapping[str, Sequence[Row]],
) -> tuple[dict[str, DeploymentResult], dict[str, list[dict[str, Any]]]]:
    """`classify`, and models of other tasks beside it in the same call: the outputs of `rows` by name, as
    `ml_core.serving` says for each task. Models on one encoder read a text that several are asked about once.

    Rows are asked of the deployed version, never of a canary.

    Raises:
        InferenceUnavailable, ModelUnusable: as `classify`.
    """
    found: dict[str, dict[int, Prediction]] = {}
    notes: dict[str, dict[int, CanaryNote]] = {}
    left: dict[str, list[int]] = {}
    for name, texts in requests.items():
        found[name], notes[name] = _ask_canary(targets[name], texts)
        left[name] = [place for place in range(len(texts)) if place not in found[name]]
    asked = [name for name, places in left.items() if places]
    started = time.monotonic()
    wanted = [name for name, inputs in rows.items() if inputs]
    texts_left = [
        (targets[name], [requests[name][place] for place in left[name]]) for name in asked
    ]
    answers, outputs = _answered(texts_left, [(targets[name], rows[name]) for name in wanted])
    beside: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    beside.update(zip(wanted, map(list, outputs), strict=True))
    seconds = time.monotonic() - started
    for name, predictions in zip(asked, answers, strict=True):
        found[name].update(zip(left[name], predictions, strict=True))
    results = {
        name: DeploymentResult(
            deployment_id=targets[name].deployment_id,
            version_id=targets[name].version_id,
            version_label=targets[name].version_label,
            languages=targets[name].languages,
            labels=targets[name].labels,
            predictions=[
                _noted(found[name][place], text, notes[name].get(place), targets[name].shadow_rate)
                for place, text in enumerate(texts)
            ],
            seconds=seconds,
        )
        for name, texts in requests.items()
    }
    return results, beside


def answering(target: Target, prediction: Prediction | None) -> Target:
    """Who made a prediction: the target, or its canary."""
    note = prediction.canary if isinstance(prediction, AskedPrediction) else None
    return target.canary if note is not None and not note.failed and target.canary else target


def _answered(
    texts: Sequence[tuple[Target, Sequence[str]]], rows: Sequence[tuple[Target, Sequence[Row]]]
) -> tuple[list[Sequence[Prediction]], list[Sequence[dict[str, Any]]]]:
    """What classifiers say to their texts and other models to their rows, in one call."""
    if not rows:
        return _classified(texts), []
    asked: list[tuple[Target, Sequence[Row]]] = [*texts, *rows]
    for target, _inputs in asked:
        _have(target.artifact_path, target.digest)
    requests = [serving.PredictRequest(target.model_path, list(inputs)) for target, inputs in asked]
    organisation = asked[0][0].organisation
    outputs = [
        result.outputs
        for result in _call(lambda client: client.predict(requests, organisation=organisation))
    ]
    said = [serving.read_predictions(each) for each in outputs[: len(texts)]]
    return list(said), list(outputs[len(texts) :])


def _classified(asked: Sequence[tuple[Target, Sequence[str]]]) -> list[Sequence[Prediction]]:
    """What each target says to its texts, in one call."""
    if not asked:
        return []
    for target, _texts in asked:
        _have(target.artifact_path, target.digest)
    requests = [serving.ClassifyRequest(target.model_path, list(texts)) for target, texts in asked]
    organisation = asked[0][0].organisation
    results = _call(lambda client: client.classify(requests, organisation=organisation))
    return [result.predictions for result in results]


def _ask_canary(
    target: Target, texts: Sequence[str]
) -> tuple[dict[int, Prediction], dict[int, CanaryNote]]:
    """What the canary says to the texts that fall to it, and the notes about them, by place.

    A canary that fails leaves notes only. A full queue is not its fault: then there are none either.
    """
    if target.canary is None:
        return {}, {}
    places = [
        place
        for place, text in enumerate(texts)
        if falls_to_canary(target.deployment_id, text, target.canary_share)
    ]
    if not places:
        return {}, {}
    canary = target.canary
    said: Sequence[Prediction] = ()
    failed = False
    started = time.monotonic()
    try:
        [said] = _classified([(canary, [texts[place] for place in places])])
    except (InferenceUnavailable, ModelUnusable) as error:
        logger.warning("the canary %s does not answer: %s", canary.version_label, error)
        if isinstance(error.__cause__, serving.Overloaded):
            return {}, {}
        failed = True
    seconds = time.monotonic() - started
    note = CanaryNote(canary.version_id, canary.labels, seconds, failed=failed)
    return dict(zip(places, said, strict=False)), dict.fromkeys(places, note)


def _noted(prediction: Prediction, text: str, note: CanaryNote | None, rate: float) -> Prediction:
    """The prediction, with its text if a shadow is to be asked the same, and what is said of its canary."""
    asked = rate > 0 and random.random() < rate
    if not asked and note is None:
        return prediction
    return AskedPrediction(**vars(prediction), text=text if asked else "", canary=note)


def classify_texts(requests: Mapping[str, Sequence[str]]) -> dict[str, DeploymentResult]:
    """`resolve` and `classify` for a caller inside an organisation's scope.

    Raises:
        NoDeployment, InferenceUnavailable, ModelUnusable.
    """
    return classify(resolve(requests), requests)


def base_languages() -> tuple[str, ...]:
    """The languages that the installation's base models read: Chinese only where one of them does."""
    return ("en", "zh") if default_base(("zh",)) != "packaged" else ("en",)


def embed_texts(texts: Sequence[str], *, languages: Sequence[str]) -> tuple[np.ndarray, str]:
    """Vectors (texts, numbers) of texts, and what made them: the base model that reads the languages, with the digest
    of its weights ("base:packaged 1f3c…"). Vectors are comparable where this is the same.

    In small calls that give way to what people wait for.

    Raises:
        InferenceUnavailable: also when the base was exchanged between two calls; ModelUnusable.
    """
    model = f"base:{default_base(languages)}"
    requests = [
        serving.PredictRequest(model, list(texts[start : start + EMBED_TEXTS]))
        for start in range(0, len(texts), EMBED_TEXTS)
    ]
    # The first call may have to wait until the base is loaded.
    results = [
        _call(
            lambda client, request=request: client.predict([request], priority="batch"),  # type: ignore[misc]
            timeout=LOAD_TIMEOUT_SECONDS,
        )[0]
        for request in requests
    ]
    digests = {result.digest for result in results}
    if len(digests) > 1:
        raise InferenceUnavailable(f"{model} was exchanged while it read the texts")
    vectors = np.concatenate([serving.read_vectors(result.outputs) for result in results])
    return vectors, f"{model} {digests.pop()}"


def embed_by_model(
    model: str, texts: Sequence[str], *, priority: Literal["interactive", "batch"] = "interactive"
) -> tuple[str, np.ndarray]:
    """The digest of a model's weights and its vectors of the texts, (texts, numbers).

    `model`: "base:NAME", or the stored path of an artefact of the task text-embedding.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    name = model if model.startswith("base:") else str(_have(model, ""))
    request = serving.PredictRequest(name, list(texts))
    [result] = _call(lambda client: client.predict([request], priority=priority))
    if texts and "vector" not in result.outputs[0]:
        raise ModelUnusable(f"{model}: it does {result.task} and gives no vectors")
    return result.digest, serving.read_vectors(result.outputs)


def score_pairs(artifact_path: str, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """How well the document of each (query, document) answers the query, from 0 to 1, by a reranker's artefact.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    path = _have(artifact_path, "")
    return _call(lambda client: client.score_pairs(path, pairs))


def load_version(artifact_path: str, digest: str = "") -> serving.ModelInfo:
    """Load an artefact (path relative to ROOTSTOCK_ARTIFACTS) into the inference process, ahead of its first use.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    path = _have(artifact_path, digest)
    return _call(lambda client: client.load(path), timeout=LOAD_TIMEOUT_SECONDS)


def answer_times(artifact_path: str, texts: Sequence[str], *, digest: str = "") -> list[float]:
    """Seconds that the inference process takes to compute each text, asked one after the other.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    path = str(_have(artifact_path, digest))
    times = []
    for text in texts:
        request = serving.ClassifyRequest(path, [text])
        started = time.perf_counter()
        _call(lambda client, asked=request: client.classify([asked], fresh=True))  # type: ignore[misc]
        times.append(time.perf_counter() - started)
    return times


def _have(artifact_path: str, digest: str) -> Path:
    """The artefact's directory on this machine; fetched when there is a store and it is not here yet."""
    try:
        return local_artifact(artifact_path, digest)
    except StoreUnavailable as error:
        raise InferenceUnavailable(str(error)) from error
    except StorageProblem as error:
        raise ModelUnusable(str(error)) from error


_clients: dict[tuple[str, float], serving.InferenceClient] = {}
_clients_lock = threading.Lock()


def _client(timeout: float) -> serving.InferenceClient:
    """The process's one client (its connections are pooled and thread-safe)."""
    key = (settings.INFERENCE_ADDRESS, timeout)
    with _clients_lock:
        if key not in _clients:
            _clients[key] = serving.InferenceClient(
                settings.INFERENCE_ADDRESS, token=settings.INFERENCE_TOKEN, timeout=timeout
            )
        return _clients[key]


def _call(
    ask: Callable[[serving.InferenceClient], _Result], *, timeout: float = TIMEOUT_SECONDS
) -> _Result:
    try:
        return ask(_client(timeout))
    except serving.Overloaded as error:
        raise InferenceUnavailable(str(error), retry_after=error.retry_after) from error
    except (serving.InferenceUnavailable, serving.DeadlineExceeded) as error:
        raise InferenceUnavailable(str(error)) from error
    except serving.ModelNotLoaded as error:
        raise ModelUnusable(str(error)) from error
