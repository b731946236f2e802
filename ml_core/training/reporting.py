"""A run followed elsewhere as well: TensorBoard, Weights & Biases, MLflow.

The Trainer's own callbacks report its internal arguments, among them a learning rate and a weight decay that this
package does not use, and leave a run open until the process ends. Here a training is one run of each program, with the
options of its `TrainConfig`, and it is closed with how it ended.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ml_core.training.config import ConfigError, TrainConfig, training_options
from ml_core.training.progress import TrainingCancelled

_PROJECT = "rootstock"
# Figures of an evaluation, as the Trainer names them.
_EVALUATION = "eval_"

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """A run in a program that follows trainings."""

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Add figures at an optimiser step."""

    def close(self, outcome: str) -> None:
        """End the run: "finished", "failed" or "stopped"."""


def check_reporting(config: TrainConfig) -> None:
    """Raise ConfigError naming the package that a wanted report needs and this machine has not."""
    for name in config.reporting:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"reporting: the package {name} is not installed; pip install {name}")


@contextmanager
def tracked(config: TrainConfig) -> Iterator[list[Tracker]]:
    """A run in each program of ``config.reporting``, open as long as the training runs.

    TensorBoard writes to ``reporting_directory``. Where the others write is said by their own environment variables
    (WANDB_MODE, WANDB_PROJECT, MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME …).

    Raises:
        ConfigError: a program cannot be started; the message is its own.
    """
    trackers: list[Tracker] = []
    outcome = "failed"
    try:
        for name in config.reporting:
            # One that cannot be started leaves those before it to be closed.
            trackers.append(_START[name](config))  # noqa: PERF401
        yield trackers
        outcome = "finished"
    except (TrainingCancelled, KeyboardInterrupt):
        outcome = "stopped"
        raise
    finally:
        for tracker in trackers:
            tracker.close(outcome)


class Curves(TrainerCallback):
    """Hands what the Trainer logs to the trackers; ``prefix`` keeps the trainings of an ensemble apart."""

    def __init__(self, trackers: Sequence[Tracker], prefix: str = "") -> None:
        self._trackers = trackers
        self._prefix = prefix

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        figures = {
            f"{self._prefix}{_name(name)}": float(value)
            for name, value in (logs or {}).items()
            if isinstance(value, int | float)
        }
        for tracker in self._trackers:
            tracker.log(figures, state.global_step)


def log_result(trackers: Sequence[Tracker], metrics: Mapping[str, Any], step: int) -> None:
    """Log the figures of the finished model, as "final/macro_f1"."""
    figures = {
        f"final/{name}": float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    for tracker in trackers:
        tracker.log(figures, step)


def _name(name: str) -> str:
    if name.startswith(_EVALUATION):
        return f"eval/{name.removeprefix(_EVALUATION)}"
    return f"train/{name}"


def _options(config: TrainConfig) -> dict[str, Any]:
    """The options of the task that are set, defaults included."""
    values = config.to_dict()
    return {
        option.name: list(value) if isinstance(value := values[option.name], tuple) else value
        for option in training_options()
        if option.tasks is None or config.task in option.tasks
        if values[option.name] not in (None, ())
    }


class _TensorBoard:
    def __init__(self, config: TrainConfig) -> None:
        from torch.utils.tensorboard import SummaryWriter

        directory = config.reporting_directory or Path("runs") / config.out.name
        make: Any = SummaryWriter
        self._writer = make(str(directory))
        text = json.dumps(_options(config), ensure_ascii=False, indent=2)
        self._writer.add_text("options", f"```json\n{text}\n```")

    def log(self, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, outcome: str) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, config: TrainConfig) -> None:
        wandb = importlib.import_module("wandb")
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", _PROJECT),
                name=os.environ.get("WANDB_NAME", config.out.name),
                config=_options(config),
                reinit="create_new",
                # What is printed stays where it is: the last line of stdout is the result.
                settings=wandb.Settings(console="off"),
            )
        except wandb.errors.Error as error:
            raise ConfigError(f"reporting: wandb cannot be started: {_line(error)}") from error
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._run.log({**figures, "step": step})

    def close(self, outcome: str) -> None:
        self._run.finish(exit_code=0 if outcome == "finished" else 1)


class _MLflow:
    _STATUS = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}

    def __init__(self, config: TrainConfig) -> None:
        self._mlflow = importlib.import_module("mlflow")
        self._problem = self._mlflow.exceptions.MlflowException
        self._sent: list[Any] = []
        nested = self._mlflow.active_run() is not None
        try:
            self._mlflow.start_run(run_name=config.out.name, nested=nested)
            self._mlflow.log_params(_options(config))
        except self._problem as error:
            raise ConfigError(f"reporting: mlflow cannot be started: {_line(error)}") from error

    def log(self, figures: Mapping[str, float], step: int) -> None:
        # In the background: a server that is slow or away must not hold up the training.
        sent = self._mlflow.log_metrics(dict(figures), step=step, synchronous=False)
        self._sent.append(sent)

    def close(self, outcome: str) -> None:
        try:
            for sent in self._sent:
                sent.wait()
            self._mlflow.end_run(self._STATUS[outcome])
        except self._problem as error:
            logger.warning("reporting: mlflow did not take the whole run: %s", _line(error))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


_START: dict[str, Any] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "mlflow": _MLflow}
