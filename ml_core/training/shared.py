"""A run of several tasks on one encoder, from their rows to their artefacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ml_core.registry.artifact import Artifact
from ml_core.tasks import task_class
from ml_core.tasks.base import Task, TaskData
from ml_core.tasks.together import Together
from ml_core.training.checkpoints import fingerprint
from ml_core.training.config import ConfigError, TrainConfig, training_options
from ml_core.training.distributed import process_count
from ml_core.training.methods import Run, wanted_methods
from ml_core.training.progress import Reporter
from ml_core.training.run import Place, fit, save, session
from ml_core.training.together import OWN


def run_together(
    configs: Sequence[TrainConfig], data: Sequence[TaskData], reporter: Reporter
) -> list[Artifact]:
    """Train the heads of checked ``configs``; see `ml_core.training.train_together`."""
    if process_count() > 1:
        raise ConfigError(
            "heads are trained together by one process; start the run without torchrun"
        )
    whole = _of_all(configs[0])
    marks = fingerprint(whole, TaskData([], [])) | {
        "heads": [fingerprint(config, rows) for config, rows in zip(configs, data, strict=True)]
    }
    with session(whole, marks) as place:
        runs = _heads(configs, data, reporter, place)
        together = Together(
            whole,
            TaskData(
                train=[row for rows in data for row in rows.train],
                validation=[row for rows in data for row in rows.validation],
            ),
            [run.task for run in runs],
            [config.out.name for config in configs],
        )
        for run in runs:
            _prepare(run)
        context = replace(runs[0], config=whole, task=together)
        best = fit(context, directory=place.directory, checkpoint=place.checkpoint, marks=marks)
        reporter.report("save")
        for run in runs:
            run.steps = context.steps
            run.records["together"] = [_named(each) for each in runs]
            others = ", ".join(each.config.task for each in runs if each is not run)
            run.notes.append(f"Trained together on one encoder with: {others}")
        return [save(run, part) for run, part in zip(runs, best.report.parts, strict=True)]


def _heads(
    configs: Sequence[TrainConfig],
    data: Sequence[TaskData],
    reporter: Reporter,
    place: Place,
) -> list[Run]:
    """A run for each head; their models get one encoder when the tasks come together."""
    runs = []
    for config, rows in zip(configs, data, strict=True):
        task: Task = task_class(config.task)(config, rows)
        runs.append(
            Run(
                config=config,
                task=task,
                reporter=reporter,
                device=place.device,
                resuming=place.begun,
                trackers=place.trackers,
            )
        )
    return runs


def _prepare(run: Run) -> None:
    """What a head's own methods do before the first step: variants of its rows, a last layer that knows something."""
    methods = wanted_methods(_own_of(run.config))
    for method in methods:
        method.prepare_rows(run)
    for method in methods:
        method.prepare_model(run)


def _of_all(config: TrainConfig) -> TrainConfig:
    """The options that the heads share; their own are at their defaults."""
    return _only(config, lambda name: name not in OWN or name in {"task", "train", "out"})


def _own_of(config: TrainConfig) -> TrainConfig:
    """The options of one head; the shared ones are at their defaults."""
    return _only(config, lambda name: name in OWN or name in {"base", "seed", "max_length"})


def _only(config: TrainConfig, kept: Callable[[str], bool]) -> TrainConfig:
    defaults = {
        option.name: option.default
        for option in training_options()
        if not option.required and not kept(option.name)
    }
    return replace(config, **defaults)


def _named(run: Run) -> dict[str, object]:
    return {
        "name": run.config.out.name,
        "task": run.config.task,
        "train_sha256": run.task.data.train_sha256,
    }
