"""The JSON bodies between the clients and the inference process.

POST /v1/classify  {"requests": [{"model", "texts": […]}, …]}
                   → {"results": [{"model", "digest", "predictions": [{"label", "probabilities"}, …]}, …]}
POST /v1/load, /v1/unload  {"model"} → the ModelInfo
GET /healthz → Health;  GET /metrics → Prometheus text
Errors: {"error": {"code", "message"}}. The header X-Deadline-Ms says how long the caller will wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml_core.models.prediction import Prediction
from ml_core.serving.errors import InferenceError

DEADLINE_HEADER = "x-deadline-ms"


@dataclass(frozen=True)
class ClassifyRequest:
    """Texts for one model: the path of its artefact, absolute or relative to the allowed root."""

    model: str
    texts: Sequence[str]


@dataclass(frozen=True)
class ClassifyResult:
    """One prediction per text, in order, from the model whose artefact has ``digest``."""

    model: str
    digest: str
    predictions: tuple[Prediction, ...]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ClassifyResult:
        return cls(
            model=values["model"],
            digest=values["digest"],
            predictions=tuple(Prediction(**item) for item in values["predictions"]),
        )


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model. ``waiting`` is the number of its texts in the queue."""

    model: str
    digest: str
    task: str
    labels: tuple[str, ...]
    languages: tuple[str, ...]
    max_length: int
    size_bytes: int
    waiting: int = 0

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelInfo:
        labels, languages = tuple(values["labels"]), tuple(values["languages"])
        return cls(**(values | {"labels": labels, "languages": languages}))


@dataclass(frozen=True)
class Health:
    """``status`` is "ok", or "failed" when only a restart helps; ``queue_depth`` and
    ``max_queue`` count texts."""

    status: str
    version: str
    uptime_seconds: float
    queue_depth: int
    max_queue: int
    models: tuple[ModelInfo, ...]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Health:
        models = tuple(ModelInfo.from_dict(item) for item in values["models"])
        return cls(**(values | {"models": models}))


def parse_classify(body: Any) -> list[ClassifyRequest]:
    """Check the body of /v1/classify; raises InferenceError "bad_request" that says where the
    fault is."""
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not requests:
        raise _bad('expected {"requests": [{"model": …, "texts": […]}, …]} with at least one')
    parsed = []
    for at, request in enumerate(requests):
        where = f"requests[{at}]"
        if not isinstance(request, dict):
            raise _bad(f"{where} is not an object")
        texts = request.get("texts")
        if not isinstance(texts, list) or not texts:
            raise _bad(f"{where}.texts must be a list of at least one text")
        for place, text in enumerate(texts):
            _check_text(text, f"{where}.texts[{place}]")
        parsed.append(ClassifyRequest(parse_model(request, where), texts))
    return parsed


def parse_model(body: Any, where: str = "the body") -> str:
    """The "model" of an object; raises InferenceError "bad_request"."""
    model = body.get("model") if isinstance(body, dict) else None
    if not isinstance(model, str) or not model or "\0" in model:
        raise _bad(f"{where} needs a model: the path of an artefact directory")
    return model


def _check_text(text: Any, where: str) -> None:
    if not isinstance(text, str):
        raise _bad(f"{where} is not text")
    if not text.strip():
        raise _bad(f"{where} is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _bad(f"{where} holds a lone surrogate (half a character)") from None


def _bad(message: str) -> InferenceError:
    return InferenceError(message, code="bad_request")
