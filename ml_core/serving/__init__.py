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
    from ml_core.serving.generation_client import AsyncGenerationClient, GenerationClient
    from ml_core.serving.generation_protocol import GenerateRequest, GenerationOptions, Piece
    from ml_core.serving.protocol import (
        BackboneInfo,
        ClassifyRequest,
        ClassifyResult,
        Entity,
        Health,
        ModelInfo,
        PredictRequest,
        PredictResult,
        read_predictions,
        read_vectors,
    )
    from ml_core.serving.remote import Embeddings, RemoteServer
    from ml_core.serving.server import serve
    from ml_core.serving.token_counts import count_tokens

__all__ = [
    "AsyncGenerationClient",
    "AsyncInferenceClient",
    "BackboneInfo",
    "ClassifyRequest",
    "ClassifyResult",
    "DeadlineExceeded",
    "Embeddings",
    "Entity",
    "GenerateRequest",
    "GenerationClient",
    "GenerationOptions",
    "Health",
    "InferenceClient",
    "InferenceError",
    "InferenceUnavailable",
    "ModelInfo",
    "ModelNotLoaded",
    "Overloaded",
    "Piece",
    "PredictRequest",
    "PredictResult",
    "RemoteServer",
    "count_tokens",
    "read_predictions",
    "read_vectors",
    "serve",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AsyncGenerationClient": "generation_client",
        "AsyncInferenceClient": "client",
        "BackboneInfo": "protocol",
        "ClassifyRequest": "protocol",
        "ClassifyResult": "protocol",
        "DeadlineExceeded": "errors",
        "Embeddings": "remote",
        "Entity": "protocol",
        "GenerateRequest": "generation_protocol",
        "GenerationClient": "generation_client",
        "GenerationOptions": "generation_protocol",
        "Health": "protocol",
        "InferenceClient": "client",
        "InferenceError": "errors",
        "InferenceUnavailable": "errors",
        "ModelInfo": "protocol",
        "ModelNotLoaded": "errors",
        "Overloaded": "errors",
        "Piece": "generation_protocol",
        "PredictRequest": "protocol",
        "PredictResult": "protocol",
        "RemoteServer": "remote",
        "read_predictions": "protocol",
        "read_vectors": "protocol",
        "count_tokens": "token_counts",
        "serve": "server",
    },
)
