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
    from ml_core.serving.protocol import ClassifyRequest, ClassifyResult, Health, ModelInfo
    from ml_core.serving.server import serve

__all__ = [
    "AsyncInferenceClient",
    "ClassifyRequest",
    "ClassifyResult",
    "DeadlineExceeded",
    "Health",
    "InferenceClient",
    "InferenceError",
    "InferenceUnavailable",
    "ModelInfo",
    "ModelNotLoaded",
    "Overloaded",
    "serve",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AsyncInferenceClient": "client",
        "ClassifyRequest": "protocol",
        "ClassifyResult": "protocol",
        "DeadlineExceeded": "errors",
        "Health": "protocol",
        "InferenceClient": "client",
        "InferenceError": "errors",
        "InferenceUnavailable": "errors",
        "ModelInfo": "protocol",
        "ModelNotLoaded": "errors",
        "Overloaded": "errors",
        "serve": "server",
    },
)
