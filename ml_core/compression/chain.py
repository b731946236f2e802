"""A chain of steps from an artefact to a smaller one.

Every step begins with an artefact and ends with one: the model is changed, judged on the validation part, calibrated
anew and written, all by the training loop (with no epochs, but for a distillation). So each can be looked at, and a
chain that was killed goes on after its last whole step, a distillation from its last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ml_core.compression.card import compression_card
from ml_core.compression.measure import Figures, Speed, figures, measure_speed
from ml_core.compression.options import CompressionConfig, Step, parse_steps
from ml_core.data import Row
from ml_core.registry.artifact import (
    CARD,
    RULES,
    Artifact,
    ArtifactError,
    check_free,
    write_artifact,
)
from ml_core.training.progress import Progress, Reporter, TrainingError

ORIGINAL = "original"
# Options that change where a chain runs or what is done with its result, but not the result.
_FREE = frozenset({"out", "overwrite", "checkpoints", "max_loss", "search", "steps", "model"})


class TooMuchLost(TrainingError):
    """The compressed model answers worse than it may; nothing was written."""


@dataclass(frozen=True)
class StepResult:
    """What a step left: its figures on the validation part, and the artefact."""

    step: str
    figures: Figures
    artifact: Artifact


@dataclass(frozen=True)
class Compressed:
    """What came of a chain. ``steps`` begin with the model as it was, under the name "original"; ``before`` and
    ``after`` are speeds on this machine."""

    artifact: Artifact
    steps: tuple[StepResult, ...]
    before: Speed
    after: Speed

    @property
    def loss(self) -> float:
        """How much of the main figure was lost; below 0: won."""
        return self.steps[0].figures.score - self.steps[-1].figures.score

    def to_dict(self) -> dict[str, Any]:
        """What the artefact's manifest has under ``options.compression``."""
        first, last = self.steps[0].figures, self.steps[-1].figures
        return {
            "original": first.to_dict() | vars(self.before),
            "compressed": last.to_dict() | vars(self.after),
            "steps": [{"step": each.step, **each.figures.to_dict()} for each in self.steps[1:]],
            "loss": round(self.loss, 6),
            "times_smaller": round(first.bytes / last.bytes, 2),
            "times_faster": round(self.before.milliseconds / self.after.milliseconds, 2),
            "times_throughput": round(self.after.per_second / self.before.per_second, 2),
        }


OnStep = Callable[[str, int, int, StepResult | None], None]


def compress(
    config: CompressionConfig,
    *,
    on_step: OnStep | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Compressed:
    """Carry out the steps of ``config`` and write the smaller artefact to ``config.out``.

    ``on_step`` is told (step, its number, how many there are, None) when a step begins and with its result when it is
    done. Raises ConfigError, DataError or ArtifactError for bad input, `TooMuchLost` when more than ``max_loss`` is
    lost, TrainingCancelled when asked to stop.
    """
    reporter = Reporter(on_progress or (lambda _: None), should_stop or (lambda: False))
    check_free(config.out, overwrite=config.overwrite)
    steps = parse_steps(config.steps)
    with ExitStack() as stack:
        home = config.checkpoints or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        results = carry_out(config, steps, home, reporter, on_step or (lambda *_: None))
        check_loss(results, config.max_loss)
        found = publish(config, measured(results, config, reporter))
        if config.checkpoints is not None:
            discard(home)
    return found


def carry_out(
    config: CompressionConfig,
    steps: Sequence[Step],
    home: Path,
    reporter: Reporter,
    on_step: OnStep,
) -> list[StepResult]:
    """The results of the steps in order, that of the original before them; what is whole in ``home`` is taken up."""
    # Not before it is known that the steps can be taken: torch takes seconds to load.
    from ml_core.compression.steps import StepRun, base_config, take_step
    from ml_core.compression.student import check_artifact, read_rows_for

    reporter.report("load")
    original = Artifact.open(config.model)
    check_artifact(original)
    data = read_rows_for(original, base_config(config, original, {"out": home / "x"}))
    given = StepRun(config, original, data, reporter)
    marks = _marks(config, original, (data.train_sha256, data.validation_sha256))
    home.mkdir(parents=True, exist_ok=True)
    artifact = original
    results: list[StepResult] = []
    for number, step in enumerate((None, *steps)):
        name = ORIGINAL if step is None else str(step)
        on_step(name, number + 1, len(steps) + 1, None)
        marks = hashlib.sha256(f"{marks}\n{name}".encode()).hexdigest()
        directory = home / f"{number:02}-{name.replace(':', '-')}-{marks[:12]}"
        try:
            artifact = Artifact.open(directory)
        except ArtifactError:
            artifact = take_step(step, given, artifact, directory)
        if step is None:
            # Whole, where the original holds only what was trained.
            given = replace(given, original=artifact)
        results.append(StepResult(name, figures(artifact, artifact.manifest.metrics), artifact))
        on_step(name, number + 1, len(steps) + 1, results[-1])
    return results


def check_loss(results: Sequence[StepResult], allowed: float | None) -> None:
    """Raise `TooMuchLost` when the last step's main figure is further below the original's than ``allowed``."""
    first, last = results[0].figures, results[-1].figures
    lost = first.score - last.score
    if allowed is not None and lost > allowed:
        shown = ", ".join(f"{each.step} {each.figures.score:.4f}" for each in results)
        raise TooMuchLost(
            f"max_loss: {first.headline} falls by {lost:.4f}, more than {allowed:g} ({shown}); keep more, or distil "
            "for more epochs"
        )


def measured(
    results: Sequence[StepResult], config: CompressionConfig, reporter: Reporter
) -> Compressed:
    """The results with the speed of the first and the last model."""
    from ml_core.compression.steps import base_config
    from ml_core.compression.student import read_rows_for

    reporter.report("evaluate")
    first, last = results[0].artifact, results[-1].artifact
    data = read_rows_for(first, base_config(config, first, {"out": first.path}))
    rows = [_question(row) for row in data.validation]
    return Compressed(last, tuple(results), measure_speed(first, rows), measure_speed(last, rows))


def publish(
    config: CompressionConfig, found: Compressed, *, search: Sequence[Any] = ()
) -> Compressed:
    """Write the last step's artefact to its place, with its parent, its card, what was won and lost, and the table of
    the ``search`` that found it."""
    original, last = Artifact.open(config.model), found.artifact
    record = found.to_dict() | ({"search": list(search)} if search else {})
    manifest = replace(
        last.manifest,
        base=original.manifest.base,
        parent=original.digest,
        options=last.manifest.options | {"compression": record},
    )

    def write_files(target: Path) -> None:
        for name in last.manifest.files:
            shutil.copyfile(last.path / name, target / name)
        if RULES in original.manifest.files:
            shutil.copyfile(original.path / RULES, target / RULES)
        text = compression_card(last.card, original.digest, record)
        (target / CARD).write_text(text, encoding="utf-8")

    written = write_artifact(config.out, manifest, write_files, overwrite=config.overwrite)
    return replace(found, artifact=written)


def discard(home: Path) -> None:
    """Remove the steps of a chain that has ended well; other files stay."""
    for each in home.glob("[0-9][0-9]-*"):
        shutil.rmtree(each, ignore_errors=True)
    if home.is_dir() and not any(home.iterdir()):
        home.rmdir()


def _marks(config: CompressionConfig, original: Artifact, rows: tuple[str, str | None]) -> str:
    """What two chains must have in common for one to go on from the other's steps."""
    options = {key: value for key, value in config.to_dict().items() if key not in _FREE}
    return json.dumps([original.digest, rows, options], sort_keys=True, default=str)


def _question(row: Any) -> Mapping[str, Any]:
    """A row as a predictor reads it."""
    return row.content if isinstance(row, Row) else {"text": row.text}
