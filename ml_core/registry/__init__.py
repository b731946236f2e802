"""The Artifact: what a training run leaves behind, checked on every opening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.registry.artifact import Artifact, ArtifactError, Manifest

__all__ = [
    "Artifact",
    "ArtifactError",
    "Manifest",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Artifact": "artifact",
        "ArtifactError": "artifact",
        "Manifest": "artifact",
    },
)
