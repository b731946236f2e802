"""Encoders with a task head, and the Predictor that applies a saved one to texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.models.bases import BaseModelError, default_base, resolve_base
    from ml_core.models.found_bases import base_digest, base_directory
    from ml_core.models.prediction import Prediction
    from ml_core.models.predictor import Predictor
    from ml_core.models.prompts import PromptError, read_verbalisers

__all__ = [
    "BaseModelError",
    "Prediction",
    "Predictor",
    "PromptError",
    "base_digest",
    "base_directory",
    "default_base",
    "read_verbalisers",
    "resolve_base",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "BaseModelError": "bases",
        "Prediction": "prediction",
        "Predictor": "predictor",
        "PromptError": "prompts",
        "base_digest": "found_bases",
        "base_directory": "found_bases",
        "default_base": "bases",
        "read_verbalisers": "prompts",
        "resolve_base": "bases",
    },
)
