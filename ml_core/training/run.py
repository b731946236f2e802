"""One run from its rows to its artefact."""

from __future__ import annotations

import copy
import json
import math
import platform
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from ml_core.models.bases import is_directory_base
from ml_core.models.classifier import select_device
from ml_core.models.efficient.attachment import attachment_of
from ml_core.registry.artifact import CARD, MANIFEST, Artifact, Manifest, write_artifact
from ml_core.tasks import task_class
from ml_core.tasks.base import Evaluation, Task, TaskData
from ml_core.training.card import write_card
from ml_core.training.checkpoints import discard, discard_broken, fingerprint, newest_checkpoint
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.distributed import (
    all_weights,
    begin,
    is_first,
    process_count,
    shard,
    wait_for_all,
)
from ml_core.training.engine import FineTuner
from ml_core.training.ensemble import Ensemble, has_begun
from ml_core.training.methods import Run, wanted_methods
from ml_core.training.progress import Reporter, TrainingError
from ml_core.training.reporting import Tracker, check_reporting, log_result, tracked
from ml_core.training.weights import failed_read, failed_write, put_back

_TOKENIZER_SETTINGS = "tokenizer_config.json"


def run(
    config: TrainConfig,
    data: TaskData,
    reporter: Reporter,
    *,
    build: Callable[[TrainConfig, TaskData], Task] | None = None,
) -> Artifact:
    """Train on ``data``; see `ml_core.training.train`. ``build`` makes another task than ``config.task`` names, whose
    artefact is one of that name all the same; what it learns with besides the options is ``data.settings``."""
    _check_processes(config)
    if not is_first():
        reporter = Reporter(lambda _: None, lambda: False)
    with session(config, fingerprint(config, data)) as place:
        return _train(config, data, reporter, place, build or task_class(config.task))


@dataclass(frozen=True)
class Place:
    """Where a run computes and keeps its checkpoints: ``checkpoint`` is the one to go on from, ``begun`` says that what
    comes before the first step was done by an earlier process, ``marks`` are the run's fingerprint."""

    device: torch.device
    directory: Path
    checkpoint: Path | None
    begun: bool
    marks: dict[str, Any]
    trackers: list[Tracker]


@contextmanager
def session(config: TrainConfig, marks: dict[str, Any]) -> Iterator[Place]:
    """The surroundings of a run: its device, random states that are put back, checkpoints and trackers; files that
    cannot be written or read become a TrainingError. A body that ends well has its checkpoints discarded."""
    try:
        device = select_device(config.device)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    check_reporting(config)
    devices = list(range(torch.cuda.device_count())) if device.type == "cuda" else []
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=devices))
        # The Trainer seeds these two as well; the caller's own draws go on as if nothing had been.
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())
        torch.manual_seed(config.seed)
        directory = config.checkpoints or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            checkpoint, begun = _open_checkpoints(config, marks, device)
            trackers = stack.enter_context(tracked(config)) if is_first() else []
            yield Place(device, directory, checkpoint, begun, marks, trackers)
        except (OSError, SafetensorError, RuntimeError) as error:
            problem = failed_write(error, (directory, config.out))
            if problem is not None:
                where = getattr(error, "filename", None) or directory
                again = "; make room and start again: the run goes on from its last checkpoint"
                raise TrainingError(
                    f"{where}: cannot be written: {problem}{again if config.checkpoints else ''}"
                ) from error
            problem = failed_read(error)
            if problem is None:
                raise
            raise TrainingError(problem) from error
        if config.checkpoints is not None and is_first():
            discard(config.checkpoints)


def _open_checkpoints(
    config: TrainConfig, marks: dict[str, Any], device: torch.device
) -> tuple[Path | None, bool]:
    """The checkpoint to go on from, and whether what comes before the first step was done by an earlier process."""
    if config.checkpoints is None:
        return None, False
    config.checkpoints.mkdir(parents=True, exist_ok=True)
    checkpoint = newest_checkpoint(config.checkpoints, marks)
    begun = checkpoint is not None
    if config.ensemble > 1:
        begun = has_begun(config.checkpoints, marks)
    begin(device)
    wait_for_all()
    if is_first():
        discard_broken(config.checkpoints)
    return checkpoint, begun


def _check_processes(config: TrainConfig) -> None:
    if config.sharding != "full":
        return
    if process_count() < 2:
        raise ConfigError("sharding: full needs several processes; start the run with torchrun")
    if config.checkpoints is not None:
        raise ConfigError("checkpoints: a sharded run keeps none; unset them or sharding")


def _train(
    config: TrainConfig,
    data: TaskData,
    reporter: Reporter,
    place: Place,
    build: Callable[[TrainConfig, TaskData], Task],
) -> Artifact:
    task = build(config, data)
    context = Run(
        config=config,
        task=task,
        reporter=reporter,
        device=place.device,
        trackers=place.trackers,
        # A previous version needs the weights that the first step began with, checkpoint or not.
        resuming=place.begun and config.previous is None,
    )
    best = fit(context, directory=place.directory, checkpoint=place.checkpoint, marks=place.marks)
    reporter.report("save")
    wait_for_all()
    if not is_first():
        wait_for_all()
        return Artifact.open(config.out, verify=False)
    artifact = save(context, best)
    wait_for_all()
    return artifact


def save(context: Run, best: Evaluation) -> Artifact:
    """Calibrate a trained task on its ``best`` evaluation and write its artefact, model card and all."""
    config, task, data = context.config, context.task, context.task.data
    evaluation, calibration = task.calibrate(best)
    manifest = _manifest(config, context, evaluation, calibration)

    def write_files(target: Path) -> None:
        task.save(target)
        _forget_machine(target / _TOKENIZER_SETTINGS)
        for name, text in context.files.items():
            (target / name).write_text(text, encoding="utf-8")
        card = write_card(manifest, evaluation.report, data, context.notes)
        (target / CARD).write_text(card, encoding="utf-8")

    log_result(context.trackers, manifest.metrics, context.steps)
    return write_artifact(config.out, manifest, write_files, overwrite=config.overwrite)


def _forget_machine(settings: Path) -> None:
    """Drop from a tokenizer's settings what says where it was loaded, or equal models had unequal digests."""
    if settings.is_file():
        values = json.loads(settings.read_text(encoding="utf-8"))
        values.pop("local_files_only", None)
        text = json.dumps(values, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        settings.write_text(text, encoding="utf-8")


def fit(
    context: Run, *, directory: Path, checkpoint: Path | None, marks: dict[str, Any]
) -> Evaluation:
    """Train ``context.task`` with the methods of its config; leaves its model with the best weights, in evaluation
    mode, and returns their evaluation. ``directory`` takes the checkpoints."""
    task = context.task
    methods = wanted_methods(context.config)
    for method in methods:
        method.prepare_rows(context)
    context.reporter.report("tokenise")
    features = task.features(task.data.train)
    context.steps = _steps(context.config, len(features))
    for method in methods:
        method.prepare_model(context)
    if context.config.activation_checkpointing:
        _checkpoint_activations(task)
    ensemble = (
        Ensemble(context, methods, features, directory=directory, marks=marks)
        if context.config.ensemble > 1
        else None
    )
    # Sharding takes the model's parameters apart for good; what is saved is put together in a copy.
    plain = copy.deepcopy(task.model) if context.config.sharding == "full" else None
    if plain is not None:
        shard(task.model, task.encoder(), context.device)
    if ensemble is None:
        tuner = FineTuner(context, methods, features, directory=directory, fingerprint=marks)
        tuner.fit(checkpoint)
        best = tuner.best_evaluation
    else:
        best = ensemble.train_first(checkpoint)
    if plain is not None:
        put_back(plain, all_weights(task.model))
        task.model = plain
    if ensemble is not None:
        best = ensemble.average(best)
    task.model.eval()
    changed = [method.finish(context) for method in methods]
    if any(changed):
        best = _evaluate(context)
    return best


def _evaluate(context: Run) -> Evaluation:
    task = context.task
    context.reporter.report("evaluate")
    with torch.no_grad():
        return task.evaluate(
            task.model, task.data.validation, context.device, context.reporter.check_stop
        )


def _steps(config: TrainConfig, features: int) -> int:
    """Optimiser steps of one training on so many features, as the Trainer counts them."""
    batches = math.ceil(features / config.batch_size / process_count())
    return math.ceil(batches / config.gradient_accumulation) * config.epochs


def _checkpoint_activations(task: Task) -> None:
    encoder = task.encoder()
    if not getattr(encoder, "supports_gradient_checkpointing", False):
        raise ConfigError(f"activation_checkpointing: {type(encoder).__name__} cannot do it")
    encoder.gradient_checkpointing_enable({"use_reentrant": False})


def _manifest(
    config: TrainConfig, context: Run, evaluation: Evaluation, calibration: dict[str, Any]
) -> Manifest:
    # A directory says nothing on another machine; its name may.
    is_directory = is_directory_base(config.base)
    task, data = context.task, context.task.data
    base = task.base_name() or (Path(config.base).resolve().name if is_directory else config.base)
    parent = None
    for source in (config.previous, Path(config.base) if is_directory else None):
        if parent is None and source is not None and (source / MANIFEST).is_file():
            parent = Artifact.open(source, verify=False).digest
    attachment = attachment_of(task.model)
    options = config.to_dict()
    for only_here in (
        "out", "overwrite", "device", "languages", "checkpoints", "checkpoint_minutes",
        "reporting", "reporting_directory",
    ):  # fmt: skip
        del options[only_here]
    files = {
        key: Path(value).name
        for key, value in options.items()
        if value is not None and isinstance(getattr(config, key), Path)
    }
    return Manifest(
        task=config.task,
        base=base,
        labels=data.labels,
        max_length=config.max_length if task.reads_text else 0,
        languages=task.languages(),
        metrics=evaluation.report.summary(),
        config=options
        | files
        | {
            "base": base,
            "train_sha256": data.train_sha256,
            "validation_sha256": data.validation_sha256,
            "train_examples": len(data.train),
            "validation_examples": len(data.validation),
        },
        parent=parent,
        method=config.method,
        adapter_only=attachment is not None and attachment.adapter_only,
        base_digest=attachment.base_digest if attachment is not None else None,
        calibration=calibration,
        options=task.describe() | context.records,
        libraries={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers")},
        },
    )
