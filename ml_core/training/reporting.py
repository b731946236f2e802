"""Curves sent elsewhere as well: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from ml_core.training.config import ConfigError, TrainConfig


def check_reporting(config: TrainConfig) -> None:
    """Raise ConfigError naming the package that a wanted report needs and this machine has not."""
    for name in config.reporting:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"reporting: the package {name} is not installed; pip install {name}")


def report_callbacks(config: TrainConfig) -> list[Any]:
    """The Trainer's callbacks for ``config.reporting``. TensorBoard writes to ``reporting_directory``; the others are
    set up by their own environment variables."""
    from transformers.integrations.integration_utils import (
        MLflowCallback,
        TensorBoardCallback,
        WandbCallback,
    )

    found: list[Any] = []
    for name in config.reporting:
        if name == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter

            directory = config.reporting_directory or Path("runs") / config.out.name
            make: Any = TensorBoardCallback
            found.append(make(SummaryWriter(str(directory))))
        else:
            make = {"wandb": WandbCallback, "mlflow": MLflowCallback}[name]
            found.append(make())
    return found
