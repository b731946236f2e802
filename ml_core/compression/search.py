"""Search for the fastest model within a stated loss, by successive halving over a small grid of steps.

Every candidate cuts the model in its own way and is distilled, for an epoch at first. Those that another one beats both
in speed and in the main figure go, then the worst of the rest until half are left, and these are distilled for twice as
many epochs, and so on (successive halving: Jamieson and Talwalkar 2016). The last ones standing that lose no more than
``max_loss`` are ranked by the time of a single row. Cuts are made once: a longer distillation begins with the same
pruned model.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_core.compression.chain import (
    Compressed,
    OnStep,
    StepResult,
    TooMuchLost,
    carry_out,
    discard,
    measured,
    publish,
)
from ml_core.compression.options import (
    DEFAULT_EPOCHS,
    DISTIL,
    FP16,
    HEADS,
    INT8,
    LAYERS,
    NEURONS,
    VOCABULARY,
    CompressionConfig,
    Step,
    parse_steps,
)
from ml_core.registry.artifact import Artifact, check_free
from ml_core.training.options import ConfigError
from ml_core.training.progress import Progress, Reporter

RESULTS = "search.json"
_LAYER_SHARES = (1.0, 2 / 3, 1 / 2, 1 / 3)
_NEURON_SHARES = (1.0, 0.5, 0.25)
_HEAD_SHARES = (1.0, 0.5)
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Candidate:
    """One way to cut, as far as it came: distilled for ``epochs``, it gave ``found``. ``state`` is "dropped", "kept"
    (for longer) or, at the end, "best", "within" or "lost" (more than allowed)."""

    steps: tuple[str, ...]
    epochs: int
    found: Compressed
    state: str

    def to_dict(self) -> dict[str, Any]:
        """A row of the table of candidates."""
        last = self.found.steps[-1].figures
        return {
            "steps": list(self.steps),
            "epochs": self.epochs,
            "state": self.state,
            "loss": round(self.found.loss, 6),
            "score": last.score,
            "accuracy": last.accuracy,
            "ece": last.ece,
            "worst_slice": last.worst_slice,
            "milliseconds": self.found.after.milliseconds,
            "per_second": self.found.after.per_second,
            "megabytes": round(last.bytes / _MEGABYTE, 3),
        }


def grid(layers: int, *, vocabulary: bool = True) -> list[tuple[Step, ...]]:
    """The cuts that are tried of a model with so many layers: whole layers, then heads and neurons."""
    counts = sorted({max(1, round(layers * share)) for share in _LAYER_SHARES}, reverse=True)
    found = []
    for count in counts:
        for heads in _HEAD_SHARES:
            for neurons in _NEURON_SHARES:
                cuts = (
                    [Step(VOCABULARY, parse_steps((VOCABULARY,))[0].amount)] if vocabulary else []
                )
                cuts += [Step(LAYERS, count)] if count < layers else []
                cuts += [Step(HEADS, heads)] if heads < 1 else []
                cuts += [Step(NEURONS, neurons)] if neurons < 1 else []
                found.append(tuple(cuts))
    return found


def search_compression(
    config: CompressionConfig,
    *,
    candidates: Sequence[Sequence[Step]] | None = None,
    on_step: OnStep | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Compressed:
    """Try ``candidates`` (cuts; unset: `grid`) and write the fastest model that loses at most ``config.max_loss``.

    The table of all that were tried is in the manifest, under ``search`` of ``options.compression``, and, with
    ``config.checkpoints``, in ``search.json`` there as it grows.

    Raises what `compress` raises; `TooMuchLost` when no candidate is good enough.
    """
    reporter = Reporter(on_progress or (lambda _: None), should_stop or (lambda: False))
    check_free(config.out, overwrite=config.overwrite)
    if config.max_loss is None:
        raise ConfigError("max_loss: missing; a search needs to know what may be lost")
    if candidates is None:
        candidates = grid(_layer_count(Artifact.open(config.model)))
    most = int(config.training.get("epochs", DEFAULT_EPOCHS))
    with ExitStack() as stack:
        home = config.checkpoints or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home.mkdir(parents=True, exist_ok=True)
        halving = _Halving(config, home, reporter, on_step or (lambda *_: None))
        best = halving.run([tuple(each) for each in candidates], most)
        table = [each.to_dict() for each in halving.tried]
        found = publish(config, best.found, search=table)
        if config.checkpoints is not None:
            (home / RESULTS).unlink(missing_ok=True)
            discard(home)
    return found


class _Halving:
    def __init__(
        self, config: CompressionConfig, home: Path, reporter: Reporter, on_step: OnStep
    ) -> None:
        self.config = config
        self.home = home
        self.reporter = reporter
        self.on_step = on_step
        self.tried: list[Candidate] = []

    def run(self, candidates: list[tuple[Step, ...]], most: int) -> Candidate:
        """The fastest candidate within the loss after all rounds."""
        epochs = 1
        while True:
            last = epochs >= most or len(candidates) == 1
            tried = [(cuts, self._try(cuts, most if last else epochs)) for cuts in candidates]
            if last:
                return self._best(tried, most)
            kept = halve(
                [(each.after.milliseconds, each.steps[-1].figures.score) for _, each in tried]
            )
            for place, (cuts, found) in enumerate(tried):
                state = "kept" if place in kept else "dropped"
                self._note(Candidate(_names(cuts), epochs, found, state))
            candidates = [candidates[place] for place in kept]
            epochs = min(most, epochs * 2)

    def _try(self, cuts: tuple[Step, ...], epochs: int) -> Compressed:
        steps = (*cuts, Step(DISTIL, epochs), Step(FP16), Step(INT8))

        def on_step(name: str, number: int, count: int, result: StepResult | None) -> None:
            self.on_step(f"{' '.join(_names(cuts)) or 'whole'} · {name}", number, count, result)

        results = carry_out(self.config, steps, self.home, self.reporter, on_step)
        return measured(results, self.config, self.reporter)

    def _best(self, tried: list[tuple[tuple[Step, ...], Compressed]], epochs: int) -> Candidate:
        allowed = float(self.config.max_loss or 0)
        within = [found for _, found in tried if found.loss <= allowed]
        best = min(within, key=lambda found: found.after.milliseconds, default=None)
        chosen = None
        for cuts, found in tried:
            state = "best" if found is best else "within" if found.loss <= allowed else "lost"
            self._note(Candidate(_names(cuts), epochs, found, state))
            if found is best:
                chosen = self.tried[-1]
        if chosen is None:
            least = min(found.loss for _, found in tried)
            raise TooMuchLost(
                f"max_loss: of {len(self.tried)} candidates none loses {allowed:g} or less; the least is {least:.4f}. "
                "Allow more, or more epochs"
            )
        return chosen

    def _note(self, candidate: Candidate) -> None:
        self.tried.append(candidate)
        text = json.dumps([each.to_dict() for each in self.tried], indent=1)
        (self.home / RESULTS).write_text(text + "\n", encoding="utf-8")


def halve(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the half of (milliseconds, score) ``points`` to go on with, in their order.

    By fronts: first those that no other beats in both, then those that only these beat, and so on; within the front
    that is cut, those with the higher scores.
    """
    left = list(range(len(points)))
    ranked: list[int] = []
    while left:
        front = [
            each for each in left if not any(_beats(points[other], points[each]) for other in left)
        ]
        ranked += sorted(front, key=lambda each: -points[each][1])
        left = [each for each in left if each not in front]
    return sorted(ranked[: (len(points) + 1) // 2])


def _beats(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return first[0] <= second[0] and first[1] >= second[1] and first != second


def _names(cuts: Sequence[Step]) -> tuple[str, ...]:
    return tuple(str(each) for each in cuts)


def _layer_count(artifact: Artifact) -> int:
    from transformers import AutoConfig

    from ml_core.compression.student import check_artifact, encoder_source
    from ml_core.models.pruned import register

    check_artifact(artifact)
    register()
    return int(AutoConfig.from_pretrained(encoder_source(artifact)).num_hidden_layers)
