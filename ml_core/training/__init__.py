"""One way to train: a TrainConfig in, an Artifact out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.training.config import ConfigError, TrainConfig, training_options
    from ml_core.training.options import Option
    from ml_core.training.progress import Progress, TrainingCancelled, TrainingError
    from ml_core.training.search import Trial, search_options
    from ml_core.training.together import check_together, read_together, train_together
    from ml_core.training.trainer import train

__all__ = [
    "ConfigError",
    "Option",
    "Progress",
    "TrainConfig",
    "TrainingCancelled",
    "TrainingError",
    "Trial",
    "check_together",
    "read_together",
    "search_options",
    "train",
    "train_together",
    "training_options",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ConfigError": "config",
        "Option": "options",
        "Progress": "progress",
        "TrainConfig": "config",
        "TrainingCancelled": "progress",
        "TrainingError": "progress",
        "Trial": "search",
        "check_together": "together",
        "read_together": "together",
        "search_options": "search",
        "train": "trainer",
        "train_together": "together",
        "training_options": "config",
    },
)
