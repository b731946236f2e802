"""The inference process and its typed clients."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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

_HOME = {
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
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
