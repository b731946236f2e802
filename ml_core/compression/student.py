"""A task whose model is that of an artefact, head and all: what steps change, learn with and judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ml_core.data.errors import DataError
from ml_core.models.bases import BaseModelError
from ml_core.models.efficient.attachment import attachment_of, note
from ml_core.models.found_bases import find_base
from ml_core.models.onnx_encoder import OnnxEncoder
from ml_core.models.weights_io import load_weights
from ml_core.registry.artifact import INT8_WEIGHTS, WEIGHTS, Artifact, ArtifactError
from ml_core.tasks import task_class
from ml_core.tasks.base import Task, TaskData
from ml_core.tasks.reading import read_data
from ml_core.tasks.tagged_rows import GAZETTEER
from ml_core.training.config import TrainConfig, training_options
from ml_core.training.options import ConfigError

# Those whose model is an encoder with at most a few layers on top.
TASKS = (
    "text-classification",
    "multi-label-classification",
    "token-classification",
    "text-embedding",
    "reranking",
)
# Options of the model's own training that say how it reads, is judged and calibrated, not how it learned.
_GROUPS = frozenset({"Matching", "Tagging", "Out of scope"})
_KEPT = frozenset({"max_length", "class_weighting", "calibration", "dropout"})

Change = Callable[[Any], None]
Build = Callable[[TrainConfig, TaskData], Task]


def check_artifact(artifact: Artifact) -> None:
    """Raise ConfigError for an artefact that cannot be compressed."""
    manifest = artifact.manifest
    if manifest.task not in TASKS:
        raise ConfigError(
            f"model: {manifest.task} models cannot be compressed; those of {', '.join(TASKS)} can"
        )
    if "cloze" in manifest.options:
        raise ConfigError(
            "model: it reads its labels from a hidden word, which needs all its layers"
        )
    record = manifest.options.get("efficient")
    method = record.get("method") if isinstance(record, dict) and not record.get("merged") else None
    if method not in {None, "lora", "adalora", "head"}:
        raise ConfigError(
            f"model: what {method} added is no part of its matrices; train it with another method"
        )
    if INT8_WEIGHTS in manifest.files:
        raise ConfigError("model: it is int8 already; compress the version it was made from")


def step_config(artifact: Artifact, source: Path, values: Mapping[str, Any]) -> TrainConfig:
    """The options of a run that begins with ``artifact``, whose encoder and tokenizer are in ``source``; ``values`` win
    over those that it was trained with. Raises ConfigError."""
    manifest = artifact.manifest
    kept = {
        option.name: manifest.config[option.name]
        for option in training_options()
        if (option.group in _GROUPS or option.name in _KEPT)
        and option.kind != "Path"
        and (option.tasks is None or manifest.task in option.tasks)
        and manifest.config.get(option.name) is not None
    }
    if manifest.task == "token-classification":
        kept["case_features"] = "on" if manifest.options.get("case_features") else "off"
        if GAZETTEER in manifest.files:
            kept["gazetteer"] = artifact.path / GAZETTEER
    own = {
        "task": manifest.task,
        "base": str(source),
        "max_length": manifest.max_length,
        "languages": list(manifest.languages) or None,
    }
    return TrainConfig.from_mapping(kept | own | dict(values))


def encoder_source(artifact: Artifact) -> Path:
    """The directory with the configuration and the tokenizer of an artefact's encoder."""
    if not artifact.manifest.adapter_only:
        return artifact.path
    try:
        return find_base(artifact)
    except BaseModelError as error:
        raise ArtifactError(artifact.path, str(error)) from error


def read_rows_for(artifact: Artifact, config: TrainConfig) -> TaskData:
    """The rows of ``config`` with the labels in the artefact's order. Raises DataError for one that it has not."""
    data = read_data(config)
    known = artifact.manifest.labels
    for label in data.labels:
        if label not in known:
            raise DataError(
                f"label {label!r} is unknown to the model, which has: {', '.join(known[:20])}",
                path=config.train,
            )
    return dataclasses.replace(data, labels=known)


def student_task(artifact: Artifact, change: Change = lambda _: None) -> Build:
    """What builds the task of a run on ``artifact``'s model, after ``change`` was made to it."""

    def build(config: TrainConfig, data: TaskData) -> Task:
        kind: Any = task_class(config.task)

        class Student(kind):  # type: ignore[misc]
            """The task with the artefact's weights, which are written in the precision in which they were read."""

            halved = _is_halved(artifact)
            int8_model: bytes | None = None

            def base_name(self) -> str:
                return artifact.manifest.base

            def read_ids(self, texts: Sequence[str]) -> list[list[int]]:
                """The token numbers of each text."""
                found: list[list[int]] = self._base.encode(texts)
                return found

            def use_int8(self, model: bytes) -> None:
                """Answer with an ONNX model as encoder from now on; it is saved beside the float weights."""
                self.int8_model = model
                self.float_encoder = self.model.encoder
                self.model.encoder = OnnxEncoder(model, self.float_encoder.config)

            def save(self, directory: Path) -> None:
                answering = self.model.encoder
                if self.int8_model is not None:
                    (directory / INT8_WEIGHTS).write_bytes(self.int8_model)
                    self.model.encoder = self.float_encoder
                if self.halved:
                    self.model.half()
                super().save(directory)
                self.model.float()
                self.model.encoder = answering

        task: Task = Student(config, data)
        prefix = task.encoder().base_model_prefix or "model"
        load_weights(task.model, artifact, encoder_prefix=prefix)
        if attachment_of(task.model) is not None:
            note(task.model, None)
        task.model.requires_grad_(True)
        change(task)
        return task

    return build


def _is_halved(artifact: Artifact) -> bool:
    with safe_open(artifact.path / WEIGHTS, framework="np") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    return kinds == {"F16"}
