"""Search for the options that do best on the validation part, with optuna: TPE sampling, hopeless trials ended early.

The space is a mapping of option names to what may be tried: a list of values, or ``{low, high}`` (with ``log: true``
for factors rather than differences). Trials are kept in ``search.db``: a search that was cut off goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_core.registry.artifact import Artifact
from ml_core.training.config import ConfigError, TrainConfig, training_options
from ml_core.training.progress import Progress, TrainingCancelled, TrainingError
from ml_core.training.trainer import train

BEST = "best"
RESULTS = "search.json"
_DATABASE = "search.db"


@dataclass(frozen=True)
class Trial:
    """One try: its options, its main figure on the validation part, and whether it was "complete", "pruned" or
    "failed"."""

    number: int
    options: dict[str, Any]
    score: float | None
    state: str


def search_options(
    config: TrainConfig,
    space: Mapping[str, Any],
    *,
    trials: int,
    out: Path,
    on_trial: Callable[[Trial], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[Artifact, list[Trial]]:
    """Train up to ``trials`` models from ``config`` with options drawn from ``space``; returns the best artefact
    (``out/best``) and all trials, which ``out/search.json`` lists too.

    A trial whose figure after an epoch is below the median of the earlier ones at that epoch is ended (after five
    whole trials); one whose options cannot be used or whose loss is no number has failed. Raises ConfigError for a
    space that cannot be searched or of which no trial came to its end, and whatever `train` raises for data that no
    options could mend.
    """
    import optuna

    check_space(space)
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="search",
        storage=f"sqlite:///{(out / _DATABASE).resolve()}",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )

    class Pruned(optuna.TrialPruned, TrainingCancelled):
        """To optuna a hopeless trial, to the training a request to stop."""

    # Another seed after each interruption, or the first draws would be made again.
    study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials))

    def objective(trial: Any) -> float:
        options = {name: _draw(trial, name, values) for name, values in space.items()}
        target = out / f"trial-{trial.number}"
        evaluations = 0

        def follow(progress: Progress) -> None:
            nonlocal evaluations
            if on_progress is not None:
                on_progress(progress)
            if progress.metrics is not None:
                evaluations += 1
                trial.report(_headline(progress.metrics), evaluations)
                if trial.should_prune():
                    raise Pruned

        values = config.to_dict() | options | {"out": target, "overwrite": True}
        if config.reporting_directory is not None:
            values["reporting_directory"] = config.reporting_directory / target.name
        artifact = train(
            TrainConfig.from_mapping(values), on_progress=follow, should_stop=should_stop
        )
        metrics = artifact.manifest.metrics
        score = float(metrics[metrics["headline"]])
        _keep_better(target, score, out)
        return score

    def tell(_: Any, frozen: Any) -> None:
        if on_trial is not None:
            on_trial(_trial(frozen))
        _write_results(study, out)

    done = sum(each.state.is_finished() for each in study.trials)
    study.optimize(
        objective,
        n_trials=max(0, trials - done),
        callbacks=[tell],
        catch=(ConfigError, TrainingError),
    )
    if not (out / BEST).is_dir():
        raise ConfigError("no trial came to its end; see search.json")
    return Artifact.open(out / BEST), [_trial(each) for each in study.trials]


def check_space(space: Mapping[str, Any]) -> None:
    """Raise ConfigError for a space with an unknown option, nothing to choose from, or limits the wrong way round."""
    known = {option.name: option for option in training_options()}
    if not space:
        raise ConfigError("the space is empty: name an option and what may be tried")
    for name, values in space.items():
        if name not in known or name in {"train", "validation", "out", "task"}:
            raise ConfigError(f"space: {name!r} is not an option that can be searched")
        if isinstance(values, Mapping):
            unknown = set(values) - {"low", "high", "log"}
            if unknown or not {"low", "high"} <= set(values):
                raise ConfigError(f"space: {name}: give low and high (and log), or a list")
            if not float(values["low"]) < float(values["high"]):
                raise ConfigError(f"space: {name}: low must be below high")
            if known[name].kind not in {"int", "float"}:
                raise ConfigError(f"space: {name}: give a list of values, it is no number")
        elif not isinstance(values, list) or not values:
            raise ConfigError(f"space: {name}: give a list of values, or low and high")


def _draw(trial: Any, name: str, values: Any) -> Any:
    if isinstance(values, list):
        # optuna's choices are plain values: a list of words is handed over as text
        words = [",".join(map(str, each)) if isinstance(each, list) else each for each in values]
        return trial.suggest_categorical(name, words)
    kind = next(option.kind for option in training_options() if option.name == name)
    log = bool(values.get("log", False))
    if kind == "int":
        return trial.suggest_int(name, int(values["low"]), int(values["high"]), log=log)
    return trial.suggest_float(name, float(values["low"]), float(values["high"]), log=log)


def _headline(metrics: dict[str, float]) -> float:
    """The main figure among those of a progress report: neither the loss nor the accuracy beside it."""
    names = [name for name in metrics if name not in {"loss", "accuracy"}]
    return metrics[names[0]] if names else metrics["accuracy"]


def _keep_better(target: Path, score: float, out: Path) -> None:
    best = out / BEST
    if best.is_dir():
        metrics = Artifact.open(best, verify=False).manifest.metrics
        if float(metrics[metrics["headline"]]) >= score:
            shutil.rmtree(target)
            return
        shutil.rmtree(best)
    target.rename(best)


def _trial(frozen: Any) -> Trial:
    states = {"COMPLETE": "complete", "PRUNED": "pruned"}
    return Trial(
        number=frozen.number,
        options=dict(frozen.params),
        score=frozen.value,
        state=states.get(frozen.state.name, "failed"),
    )


def _write_results(study: Any, out: Path) -> None:
    rows = [vars(_trial(each)) for each in study.trials]
    text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    (out / RESULTS).write_text(text, encoding="utf-8")
