"""The inference process and its typed clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.serving.client import AsyncInferenceClient, InferenceClient
    from ml_core.serving.errors import (
        DeadlineExceeded,
        InferenceError,
        InferenceUnavailable,
        ModelNotLoaded,
        Overloaded,
    )
    from ml_core.serving.protocol import (
        BackboneInfo,
        ClassifyRequest,
        ClassifyResult,
        Entity,
        Health,
        ModelInfo,
        PredictRequest,
        PredictResult,
        read_vectors,
    )
    from ml_core.serving.server import serve

__all__ = [
    "AsyncInferenceClient",
    "BackboneInfo",
    "ClassifyRequest",
    "ClassifyResult",
    "DeadlineExceeded",
    "Entity",
    "Health",
    "InferenceClient",
    "InferenceError",
    "InferenceUnavailable",
    "ModelInfo",
    "ModelNotLoaded",
    "Overloaded",
    "PredictRequest",
    "PredictResult",
    "read_vectors",
    "serve",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AsyncInferenceClient": "client",
        "BackboneInfo": "protocol",
        "ClassifyRequest": "protocol",
        "ClassifyResult": "protocol",
        "DeadlineExceeded": "errors",
        "Entity": "protocol",
        "Health": "protocol",
        "InferenceClient": "client",
        "InferenceError": "errors",
        "InferenceUnavailable": "errors",
        "ModelInfo": "protocol",
        "ModelNotLoaded": "errors",
        "Overloaded": "errors",
        "PredictRequest": "protocol",
        "PredictResult": "protocol",
        "read_vectors": "protocol",
        "serve": "server",
    },
)
