"""Several tasks trained at once on one encoder, which their artefacts share: the public door.

What needs torch is behind it, in `shared`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml_core.models.bases import AUTO, default_base
from ml_core.registry.artifact import Artifact, check_free
from ml_core.tasks.base import TaskData
from ml_core.tasks.reading import read_data
from ml_core.training.config import ConfigError, TrainConfig, read_yaml, training_options
from ml_core.training.progress import Progress, Reporter
from ml_core.training.starting_base import with_base

# Tasks whose model is a layer on the states of an encoder that reads a text.
TASKS = (
    "text-classification",
    "multi-label-classification",
    "token-classification",
    "span-classification",
)
# What each head may have of its own.
OWN = frozenset({
    "task", "train", "validation", "text_column", "label_column", "validation_fraction", "class_weighting",
    "label_smoothing", "calibration", "dropout", "out", "overwrite", "head_start", "augmentation",
    "augmentation_per_row", "augmentation_strength", "synonyms", "case_features",
})  # fmt: skip
# What all have in common: what happens to the encoder, and how the run goes.
SHARED = frozenset({
    "base", "weights", "max_length", "languages", "epochs", "batch_size", "gradient_accumulation", "optimiser",
    "learning_rate", "head_learning_rate", "layer_decay", "weight_decay", "schedule", "warmup_ratio",
    "clip_norm", "keep", "early_stopping_patience", "adversarial", "adversarial_epsilon", "adversarial_steps",
    "weight_averaging", "ema_decay", "seed", "device", "precision", "activation_checkpointing", "checkpoints",
    "checkpoint_minutes", "reporting", "reporting_directory",
})  # fmt: skip


def train_together(
    configs: Sequence[TrainConfig],
    *,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Artifact]:
    """Train as ``configs`` say, one a head, all on one encoder; returns the artefacts in their order.

    Each is whole by itself. Their encoders are equal, so an inference process keeps one copy of it and computes each
    text once for all of them. The epoch that is kept is the one with the best mean of the heads' main figures.
    Progress metrics name the heads by the last part of their ``out``, as in "sentiment/macro_f1". With
    ``checkpoints`` a run that was killed goes on from its last whole one.

    Raises as `ml_core.training.train` does, and ConfigError for options that cannot be shared.
    """
    reporter = Reporter(on_progress or (lambda _: None), should_stop or (lambda: False))
    reporter.report("load")
    configs = check_together(configs)
    for config in configs:
        check_free(config.out, overwrite=config.overwrite)
    data = [read_data(config) for config in configs]
    configs = _with_one_base(configs, data)
    from ml_core.training.shared import run_together

    return run_together(configs, data, reporter)


def check_together(configs: Sequence[TrainConfig]) -> list[TrainConfig]:
    """The configs with what sharing decides filled in: a tagger sees no case features, which would change what the
    encoder reads. Raises ConfigError naming the option that does not fit."""
    if len(configs) < 2:
        raise ConfigError("heads: at least two are needed to be trained together")
    places = [str(config.out.absolute()) for config in configs]
    names = [config.out.name for config in configs]
    if len(set(places)) < len(places) or len(set(names)) < len(names):
        raise ConfigError("out: each head needs a directory of its own, with a name of its own")
    checked = [_check_head(config) for config in configs]
    for option in training_options():
        if option.name not in SHARED:
            continue
        values = [getattr(config, option.name) for config in checked]
        different = next((value for value in values if value != values[0]), None)
        if different is not None or len({value is None for value in values}) > 1:
            raise ConfigError(
                f"{option.name}: must be the same for all heads, not {values[0]!r} and {different!r}"
            )
    return checked


def read_together(path: Path | str, **overrides: Any) -> list[TrainConfig]:
    """The configs in a YAML file: options for all heads, and ``heads``, a list of mappings with each one's own.
    ``overrides`` are options for all and win over the file. Raises ConfigError."""
    values = read_yaml(path)
    heads = values.pop("heads", None)
    if not isinstance(heads, list) or not all(isinstance(head, Mapping) for head in heads):
        raise ConfigError(f"{path}: needs heads, a list with the options of each")
    return [TrainConfig.from_mapping({**values, **overrides, **head}) for head in heads]


def _check_head(config: TrainConfig) -> TrainConfig:
    if config.task not in TASKS:
        raise ConfigError(f"task: {config.task} cannot share its encoder; {', '.join(TASKS)} can")
    for option in training_options():
        value = getattr(config, option.name)
        if option.name not in OWN | SHARED and value != option.default:
            raise ConfigError(
                f"{option.name}: is not for heads that are trained together; train this one alone"
            )
    if config.task != "token-classification":
        return config
    if config.case_features == "on":
        raise ConfigError(
            "case_features: changes what the encoder reads, so this head cannot share it"
        )
    return replace(config, case_features="off")


def _with_one_base(configs: Sequence[TrainConfig], data: Sequence[TaskData]) -> list[TrainConfig]:
    """The base that "auto" stands for, by the rows of all heads: one that reads Chinese as soon as any has Chinese."""
    if configs[0].base != AUTO:
        return list(configs)
    found = {with_base(config, rows).base for config, rows in zip(configs, data, strict=True)}
    base = found.pop() if len(found) == 1 else default_base(("en", "zh"))
    return [replace(config, base=base) for config in configs]
