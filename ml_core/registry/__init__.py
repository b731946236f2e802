"""The Artifact: what a training run leaves behind, checked on every opening."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.registry.artifact import Artifact, ArtifactError, Manifest

__all__ = [
    "Artifact",
    "ArtifactError",
    "Manifest",
]

_HOME = {
    "Artifact": "artifact",
    "ArtifactError": "artifact",
    "Manifest": "artifact",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
