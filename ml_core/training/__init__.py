"""One way to train: a TrainConfig in, an Artifact out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.training.config import ConfigError, TrainConfig
    from ml_core.training.progress import Progress, TrainingCancelled, TrainingError
    from ml_core.training.trainer import train

__all__ = [
    "ConfigError",
    "Progress",
    "TrainConfig",
    "TrainingCancelled",
    "TrainingError",
    "train",
]

_HOME = {
    "ConfigError": "config",
    "Progress": "progress",
    "TrainConfig": "config",
    "TrainingCancelled": "progress",
    "TrainingError": "progress",
    "train": "trainer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
