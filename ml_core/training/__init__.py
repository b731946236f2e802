"""One way to train: a TrainConfig in, an Artifact out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.training.config import ConfigError, TrainConfig, training_options
    from ml_core.training.options import Option
    from ml_core.training.progress import Progress, TrainingCancelled, TrainingError
    from ml_core.training.search import Trial, search_options
    from ml_core.training.trainer import train

__all__ = [
    "ConfigError",
    "Option",
    "Progress",
    "TrainConfig",
    "TrainingCancelled",
    "TrainingError",
    "Trial",
    "search_options",
    "train",
    "training_options",
]

_HOME = {
    "ConfigError": "config",
    "Option": "options",
    "Progress": "progress",
    "TrainConfig": "config",
    "TrainingCancelled": "progress",
    "TrainingError": "progress",
    "Trial": "search",
    "search_options": "search",
    "train": "trainer",
    "training_options": "config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
