"""Encoders with a task head, and the Predictor that applies a saved one to texts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.models.bases import BaseModelError, resolve_base
    from ml_core.models.prediction import Prediction
    from ml_core.models.predictor import Predictor

__all__ = [
    "BaseModelError",
    "Prediction",
    "Predictor",
    "resolve_base",
]

_HOME = {
    "BaseModelError": "bases",
    "Prediction": "prediction",
    "Predictor": "predictor",
    "resolve_base": "bases",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
