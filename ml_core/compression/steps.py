"""One module a kind of step is elsewhere; here each becomes a run of the training loop."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ml_core.compression.distil import Teacher, Teaching, teach
from ml_core.compression.options import (
    DISTIL,
    FP16,
    HEADS,
    INT8,
    LAYERS,
    NEURONS,
    VOCABULARY,
    CompressionConfig,
    Step,
)
from ml_core.compression.prune import check_architecture, cut_units, keep_layers, measure_importance
from ml_core.compression.student import (
    Change,
    encoder_source,
    step_config,
    student_task,
)
from ml_core.compression.vocabulary import apply_vocabulary, count_tokens, shrink_vocabulary
from ml_core.data import Row, row_text
from ml_core.data.examples import Example
from ml_core.models.classifier import select_device
from ml_core.models.predictor import Predictor
from ml_core.models.pruned import conform, layer_sizes
from ml_core.registry.artifact import TOKENIZER, Artifact, write_artifact
from ml_core.tasks.base import TaskData
from ml_core.tasks.reading_texts import unlabelled_texts
from ml_core.training.config import TrainConfig
from ml_core.training.options import ConfigError
from ml_core.training.progress import Reporter
from ml_core.training.run import run

# What every step needs of the options of training; the others are about learning.
_EVERYWHERE = ("text_column", "label_column", "validation_fraction", "seed", "device", "precision")
# More tell the scales of int8 nothing new.
_CALIBRATION_TEXTS = 256


@dataclass(frozen=True)
class StepRun:
    """What the steps of a chain share: the rows, and the model that it began with, whole."""

    config: CompressionConfig
    original: Artifact
    data: TaskData
    reporter: Reporter

    @property
    def device(self) -> torch.device:
        return select_device(str(self.config.training.get("device", "auto")))

    def sample(self) -> list[Any]:
        """Training rows, evenly over the file, on which it is measured what matters."""
        rows = self.data.train
        count = min(self.config.importance_rows, len(rows))
        return [rows[place * len(rows) // count] for place in range(count)]

    def texts(self) -> list[str]:
        """The training texts, and those without labels."""
        found = [texts_of(self.config_task, row) for row in self.data.train]
        return found + self.unlabelled()

    def unlabelled(self) -> list[str]:
        """The texts without labels that are no training texts."""
        if self.config.unlabelled is None:
            return []
        column = str(self.config.training.get("text_column", "text"))
        known = {getattr(row, "text", None) for row in self.data.train}
        texts = unlabelled_texts(self.config.unlabelled, column)
        return [text for text in texts if text not in known]

    @property
    def config_task(self) -> str:
        return self.original.manifest.task


def base_config(
    config: CompressionConfig, artifact: Artifact, values: dict[str, Any]
) -> TrainConfig:
    """The options of a run on ``artifact`` that learns nothing, unless ``values`` say otherwise. Raises ConfigError."""
    shared = {key: config.training[key] for key in _EVERYWHERE if key in config.training}
    rows = {"train": config.data, "validation": config.validation}
    nothing = {"epochs": 0, "overwrite": True}
    return step_config(artifact, encoder_source(artifact), shared | rows | nothing | values)


def take_step(step: Step | None, given: StepRun, artifact: Artifact, directory: Path) -> Artifact:
    """Make ``step`` of ``artifact`` and write the result to ``directory``; None only writes it whole and measured.

    Raises ConfigError for a step that its architecture or tokenizer does not allow.
    """
    if step is None:
        return _write(given, artifact, directory)
    if step.kind == VOCABULARY:
        with tempfile.TemporaryDirectory(dir=directory.parent) as temporary:
            smaller = _with_vocabulary(given, artifact, int(step.amount or 0), Path(temporary))
            return _write(given, smaller, directory)
    if step.kind == DISTIL:
        return _distil(given, artifact, int(step.amount or 0), directory)
    change = _CHANGES[step.kind]
    return _write(given, artifact, directory, lambda task: change(given, step, task))


def texts_of(task: str, row: Any) -> str:
    """What a row says, as one text."""
    return row_text(task, row.content) if isinstance(row, Row) else str(row.text)


def _write(
    given: StepRun,
    artifact: Artifact,
    directory: Path,
    change: Change = lambda _: None,
    *,
    rows: Sequence[Any] = (),
    **values: Any,
) -> Artifact:
    config = base_config(given.config, artifact, {"out": directory, **values})
    data = copy.copy(given.data)
    data.train = [*data.train, *rows]
    return run(config, data, given.reporter, build=student_task(artifact, change))


def _cut_layers(given: StepRun, step: Step, task: Any) -> None:
    check_architecture(task.encoder())
    stop = given.reporter.check_stop
    keep_layers(task, given.sample(), int(step.amount or 0), given.device, stop)
    task.model.encoder = conform(task.encoder().cpu())


def _cut_units(given: StepRun, step: Step, task: Any) -> None:
    """In rounds, each of which keeps the same part of what is left."""
    check_architecture(task.encoder())
    heads, neurons = (sum(sizes) for sizes in layer_sizes(task.encoder()))
    rounds, share = given.config.rounds, float(step.amount or 1)
    for number in range(1, rounds + 1):
        left = share ** (number / rounds)
        found = measure_importance(task, given.sample(), given.device, given.reporter.check_stop)
        task.model.cpu()
        cut_units(
            task.encoder(),
            found,
            heads=round(heads * left) if step.kind == HEADS else heads,
            neurons=round(neurons * left) if step.kind == NEURONS else neurons,
        )
    task.model.encoder = conform(task.encoder())


def _with_vocabulary(given: StepRun, artifact: Artifact, size: int, directory: Path) -> Artifact:
    source = artifact.path
    counts = count_tokens(source / TOKENIZER, given.texts())
    tokenizer = json.loads((source / TOKENIZER).read_text(encoding="utf-8"))
    vocabulary = shrink_vocabulary(tokenizer, counts, size)

    def write_files(target: Path) -> None:
        for name in artifact.manifest.files:
            shutil.copyfile(source / name, target / name)
        apply_vocabulary(source, target, vocabulary)

    return write_artifact(directory / "smaller", artifact.manifest, write_files)


def _distil(given: StepRun, artifact: Artifact, epochs: int, directory: Path) -> Artifact:
    config = given.config
    teaching = Teaching(config.teacher_share, config.teacher_temperature, config.teacher_states)
    teacher_config = base_config(config, given.original, {"out": directory})
    build = student_task(given.original)

    def change(student: Any) -> None:
        # Built where the random numbers of the run are its own, after those that the student's head was drawn with.
        teach(student, Teacher(build(teacher_config, copy.copy(given.data)), student), teaching)

    values = {key: value for key, value in config.training.items() if key not in _EVERYWHERE}
    values["epochs"] = epochs
    if config.checkpoints is not None:
        values["checkpoints"] = directory.with_suffix(".checkpoints")
    return _write(given, artifact, directory, change, rows=_labelled(given), **values)


def _labelled(given: StepRun) -> list[Example]:
    """The texts without labels, each with the label that the model as it was gives it."""
    texts = given.unlabelled()
    if not texts or given.config_task != "text-classification":
        return []
    predictor = Predictor.load(given.original, device=str(given.device))
    stop = given.reporter.check_stop
    found = predictor.probabilities(texts, after_batch=lambda _: stop()).argmax(1)
    return [
        Example(text, predictor.labels[place])
        for text, place in zip(texts, found.tolist(), strict=True)
    ]


def _halve(given: StepRun, step: Step, task: Any) -> None:
    task.halved = True
    # What is judged is what will be read again.
    task.model.half().float()
    lost = [name for name, each in task.model.named_parameters() if not bool(each.isfinite().all())]
    if lost:
        raise ConfigError(f"steps: fp16: {lost[0]} is too large for it")


def _quantise(given: StepRun, step: Step, task: Any) -> None:
    from ml_core.compression.quantise import int8_encoder

    texts = [texts_of(given.config_task, row) for row in given.sample()[:_CALIBRATION_TEXTS]]
    task.use_int8(int8_encoder(task.encoder(), task.read_ids(texts)))


_CHANGES: dict[str, Callable[[StepRun, Step, Any], None]] = {
    LAYERS: _cut_layers,
    HEADS: _cut_units,
    NEURONS: _cut_units,
    FP16: _halve,
    INT8: _quantise,
}
