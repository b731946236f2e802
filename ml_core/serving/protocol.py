"""The JSON bodies between the clients and the inference process.

POST /v1/predict   {"requests": [{"model", "inputs": […]}, …], "priority": "interactive" | "batch", "fresh": bool}
                   → {"results": [{"model", "digest", "task", "outputs": […]}, …]}
POST /v1/load, /v1/unload  {"model"} → the ModelInfo
GET /healthz → Health;  GET /metrics → Prometheus text
Errors: {"error": {"code", "message"}}.

Of a fresh request nothing is answered from the cache, so that a measurement means something. A model is the path of an
artefact below the allowed root, or "base:NAME", a base model as plain embedder. An input is a text; for pairs {"query",
"document"}; for tasks on rows an object, as `predict_rows` of the task takes it. An output:

classification  {"label", "probabilities", "in_scope", "score"}: ``in_scope`` true or false from a model that can tell,
                else null; ``score`` the higher the more in scope. With several labels a text also "labels", those that
                reach their threshold.
embedding       {"vector"}: base64 of little-endian float32 numbers, norm 1
tagging         {"entities": [{"start", "end", "label", "text", "score"}]}, places in characters
pairs           {"score"} from 0 to 1
others          what `predict_rows` of the task says

Headers: X-Deadline-Ms, how long the caller will wait; X-Rootstock-Organisation, for whom, in the metrics.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ml_core.models.prediction import Prediction
from ml_core.serving.errors import InferenceError

DEADLINE_HEADER = "x-deadline-ms"
ORGANISATION_HEADER = "x-rootstock-organisation"
BASE_PREFIX = "base:"

Priority = Literal["interactive", "batch"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)

_LITTLE_FLOAT = np.dtype("<f4")


@dataclass(frozen=True)
class PredictRequest:
    """Inputs for one model: the path of its artefact, absolute or relative to the allowed root, or "base:NAME"."""

    model: str
    inputs: Sequence[str | Mapping[str, Any]]


@dataclass(frozen=True)
class PredictResult:
    """One output per input, in order, from the model whose artefact has ``digest`` (of a base: that of its
    weights)."""

    model: str
    digest: str
    task: str
    outputs: tuple[dict[str, Any], ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PredictResult:
        return cls(values["model"], values["digest"], values["task"], tuple(values["outputs"]))


@dataclass(frozen=True)
class ClassifyRequest:
    """Texts for one classifier, see `PredictRequest`."""

    model: str
    texts: Sequence[str]


@dataclass(frozen=True)
class ClassifyResult:
    """One prediction per text, in order, from the model whose artefact has ``digest``."""

    model: str
    digest: str
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True)
class Entity:
    """A stretch ``text`` of what was tagged, at the characters ``start`` to ``end``; ``score``: how likely exactly
    these words are the entity."""

    start: int
    end: int
    label: str
    text: str
    score: float


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model. ``waiting`` is the number of its inputs in the queue.

    ``backend`` says what computes it, ``backbone`` the digest of the encoder that it shares with others (empty where
    it has none to share); ``memory_bytes`` is what it would give back alone, so without a shared encoder.
    """

    model: str
    digest: str
    task: str
    labels: tuple[str, ...]
    languages: tuple[str, ...]
    max_length: int
    size_bytes: int
    waiting: int = 0
    backend: str = "torch"
    backbone: str = ""
    memory_bytes: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelInfo:
        labels, languages = tuple(values["labels"]), tuple(values["languages"])
        return cls(**({**values} | {"labels": labels, "languages": languages}))


@dataclass(frozen=True)
class BackboneInfo:
    """An encoder in memory: its ``backend``, what it takes, the models that share it, and what the calibration of
    this host measured (None where the backend was given, not chosen)."""

    digest: str
    backend: str
    memory_bytes: int
    models: tuple[str, ...]
    calibration: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BackboneInfo:
        return cls(**({**values} | {"models": tuple(values["models"])}))


@dataclass(frozen=True)
class Health:
    """``status`` is "ok", or "failed" when only a restart helps; ``queue_depth`` and ``max_queue`` count inputs,
    ``memory_bytes`` is what all models take of ``memory_budget_bytes``."""

    status: str
    version: str
    uptime_seconds: float
    queue_depth: int
    max_queue: int
    models: tuple[ModelInfo, ...]
    backbones: tuple[BackboneInfo, ...] = ()
    memory_bytes: int = 0
    memory_budget_bytes: int = 0
    cache_bytes: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Health:
        models = tuple(ModelInfo.from_dict(item) for item in values["models"])
        backbones = tuple(BackboneInfo.from_dict(item) for item in values.get("backbones", ()))
        return cls(**({**values} | {"models": models, "backbones": backbones}))


@dataclass(frozen=True)
class Caller:
    """What the headers of a request say about who sent it: how many seconds it will wait (None: for ever), and the
    organisation that it is for."""

    timeout: float | None = None
    organisation: str = ""


def parse_predict(body: Any) -> tuple[list[PredictRequest], Priority]:
    """Check the body of /v1/predict; raises InferenceError "bad_request" that says where the fault is."""
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not requests:
        raise _bad('expected {"requests": [{"model": …, "inputs": […]}, …]} with at least one')
    parsed = []
    for at, request in enumerate(requests):
        where = f"requests[{at}]"
        if not isinstance(request, dict):
            raise _bad(f"{where} is not an object")
        inputs = request.get("inputs")
        if not isinstance(inputs, list) or not inputs:
            raise _bad(f"{where}.inputs must be a list of at least one input")
        for place, given in enumerate(inputs):
            _check_input(given, f"{where}.inputs[{place}]")
        parsed.append(PredictRequest(parse_model(request, where), inputs))
    return parsed, parse_priority(body)


def parse_fresh(body: Mapping[str, Any]) -> bool:
    """The "fresh" of a body, false where there is none; raises InferenceError "bad_request"."""
    given = body.get("fresh", False)
    if not isinstance(given, bool):
        raise _bad("fresh must be true or false")
    return given


def parse_model(body: Any, where: str = "the body") -> str:
    """The "model" of an object; raises InferenceError "bad_request"."""
    model = body.get("model") if isinstance(body, dict) else None
    if not isinstance(model, str) or not model or "\0" in model or not _is_unicode(model):
        raise _bad(
            f"{where} needs a model: the path of an artefact directory, or {BASE_PREFIX}NAME"
        )
    return model


def parse_priority(body: Mapping[str, Any]) -> Priority:
    """The "priority" of a body, "interactive" where there is none; raises InferenceError "bad_request"."""
    given = body.get("priority", PRIORITIES[0])
    for known in PRIORITIES:
        if given == known:
            return known
    raise _bad(f"priority must be one of {', '.join(PRIORITIES)}")


def write_vector(vector: np.ndarray) -> str:
    """Base64 of the numbers of one vector, little-endian float32."""
    return base64.b64encode(vector.astype(_LITTLE_FLOAT).tobytes()).decode("ascii")


def read_vectors(outputs: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The vectors of the outputs of an embedder: (texts, numbers) float32."""
    rows = [np.frombuffer(base64.b64decode(each["vector"]), _LITTLE_FLOAT) for each in outputs]
    return np.stack(rows).astype(np.float32) if rows else np.empty((0, 0), np.float32)


def read_predictions(outputs: Sequence[Mapping[str, Any]]) -> tuple[Prediction, ...]:
    """The predictions of the outputs of a classifier."""
    return tuple(
        Prediction(
            label=each["label"],
            probabilities=each["probabilities"],
            in_scope=each.get("in_scope"),
            score=each.get("score"),
        )
        for each in outputs
    )


def _check_input(given: Any, where: str) -> None:
    if isinstance(given, dict):
        if not given:
            raise _bad(f"{where} is an empty object")
        return
    if not isinstance(given, str):
        raise _bad(f"{where} is neither text nor an object")
    if not given.strip():
        raise _bad(f"{where} is empty")
    if not _is_unicode(given):
        raise _bad(f"{where} holds a lone surrogate (half a character)")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad(message: str) -> InferenceError:
    return InferenceError(message, code="bad_request")
