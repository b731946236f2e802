"""What a task must say about itself so that the one training loop can drive it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ml_core.evaluation import Answers
    from ml_core.registry.artifact import Artifact
    from ml_core.training.config import TrainConfig
    from ml_core.training.sampling import LengthBuckets

# One row made ready for the model; every feature has a "length" (tokens, items or pixels) to form batches by.
Feature = dict[str, Any]
Batch = dict[str, Any]


@dataclass
class TaskData:
    """The rows of one run, read, checked and split. ``labels`` are in sorted order, empty for a task without.

    Methods that add or change rows before training (augmentation, replay, pseudo-labels) change ``train``; the hashes
    stay those of the files. ``settings`` are JSON values that a run must share, besides options and files, to go on
    from another's checkpoint.
    """

    train: list[Any]
    validation: list[Any]
    labels: tuple[str, ...] = ()
    train_sha256: str = ""
    validation_sha256: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Loss:
    """The loss of one batch as a sum, so that accumulated and distributed batches add up to the loss of a large one.

    ``total`` is a scalar, the sum over the batch's items (texts, tokens, pairs); ``logits`` are there for methods that
    need them (R-Drop, distillation): (items, classes), or None for a task without classes.
    """

    total: Tensor
    logits: Tensor | None = None


LossFunction = Callable[["nn.Module", Batch], Loss]


class Report(Protocol):
    """What an evaluation found; see `ml_core.evaluation`. ``headline`` names the figure in `summary` by which epochs
    are chosen and versions compared; higher is better."""

    @property
    def headline(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def answers(self) -> Answers | None: ...
    def summary(self) -> dict[str, Any]: ...
    def to_dict(self) -> dict[str, Any]: ...


@dataclass
class Evaluation:
    """A report, the mean loss per item on the same rows (ties between epochs are broken by it), and for tasks with
    classes the logits (rows, classes) that calibration is fitted on. ``figures`` are shown beside the headline."""

    report: Any
    loss: float
    logits: Any = None
    figures: dict[str, float] = field(default_factory=dict)


class Task(ABC):
    """One task of one run: its model, its features and batches, its loss and its report.

    Built with the run's config and data; ``model`` is then on the CPU with its starting weights. ``after_batch`` of
    `evaluate` is called between batches and may raise to stop.
    """

    name: ClassVar[str]
    # Where the class that applies a saved model to rows is: "module:Class", a `RowPredictor`. The task's own module has
    # ``evaluate_artifact(artifact, data, device) -> Report`` beside the class.
    predictor: ClassVar[str]
    # Whether ``max_length`` and languages mean anything to it.
    reads_text: ClassVar[bool] = True
    model: Any

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        self.config = config
        self.data = data

    @abstractmethod
    def features(self, rows: Sequence[Any]) -> Sequence[Feature]:
        """Rows made ready for `collate`, in order."""

    @abstractmethod
    def collate(self, features: list[Feature]) -> Batch:
        """One padded batch of CPU tensors."""

    def sampler(self, features: Sequence[Feature], *, batch_size: int, seed: int) -> LengthBuckets:
        """Which training features come together: those of like length."""
        from ml_core.training.sampling import LengthBuckets

        lengths = [feature["length"] for feature in features]
        return LengthBuckets(lengths, batch_size=batch_size, seed=seed)

    @abstractmethod
    def items(self, batch: Batch) -> int:
        """How many items the batch's loss is a sum over."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The loss of a batch; ``model`` is `model`, perhaps wrapped for several devices."""

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each item from its logits; for methods that mix or compare logits. Only tasks with classes
        have one."""
        raise NotImplementedError

    @abstractmethod
    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        """Compare what the model says about labelled rows with their labels; the model is in evaluation mode."""

    def calibrate(self, evaluation: Evaluation) -> tuple[Evaluation, dict[str, Any]]:
        """Fit on the validation part what turns logits into honest answers: the evaluation with it, and the manifest's
        ``calibration``."""
        return evaluation, {}

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the model's weights and configuration and whatever reads its inputs (tokenizer, item table)."""

    def default_learning_rate(self) -> float:
        """2e-4 · (384 / hidden size)², within 1e-5 and 5e-4: 2e-4 for MiniLM, 5e-5 for a BERT-base."""
        hidden = int(self.encoder().config.hidden_size)
        return min(max(2e-4 * (384 / hidden) ** 2, 1e-5), 5e-4)

    def encoder(self) -> Any:
        """The transformers model inside `model`, which parameter-efficient methods and layer-wise rates work on."""
        return self.model.encoder

    def base_name(self) -> str | None:
        """What the model is built as when that is not ``config.base``."""
        return None

    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of what the model can read; empty for a task without text."""
        return self.config.languages or ()

    def describe(self) -> dict[str, Any]:
        """Manifest entries that only this task has (kept under ``options``)."""
        return {}


class RowPredictor(Protocol):
    """A loaded model applied to unlabelled rows of its task."""

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self: ...
    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """One JSON object for each row, in order."""
        ...
