"""What a compression is told: the model, its rows, and the steps in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ml_core.pretraining.stages.settings import TrainingSettings
from ml_core.training.options import ConfigError
from ml_core.training.options.base import option

LAYERS, HEADS, NEURONS, VOCABULARY = "layers", "heads", "neurons", "vocabulary"
DISTIL, FP16, INT8 = "distil", "fp16", "int8"
STEPS = (LAYERS, HEADS, NEURONS, VOCABULARY, DISTIL, FP16, INT8)
DEFAULT_VOCABULARY = 8000
DEFAULT_EPOCHS = 5
_WRITTEN = re.compile(r"([a-z0-9-]+)(?::([0-9.]+))?")


@dataclass(frozen=True)
class Step:
    """One change of a model. ``amount`` is what is kept: a number of layers or tokens, a part of the heads or neurons;
    of `DISTIL` the epochs."""

    kind: str
    amount: float | None = None

    def __str__(self) -> str:
        return self.kind if self.amount is None else f"{self.kind}:{self.amount:g}"

    @classmethod
    def parse(cls, text: str) -> Step:
        """Read "layers:3", "heads:0.5", "neurons:0.5", "vocabulary:8000", "distil:5", "fp16" or
        "int8"; raises ConfigError saying what is wrong."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None or found[1] not in STEPS:
            raise ConfigError(f"steps: {text!r} is no step; there are {', '.join(STEPS)}")
        kind, given = found[1], found[2]
        try:
            amount = None if given is None else float(given)
        except ValueError:
            raise ConfigError(f"steps: {text!r}: {given!r} is not a number") from None
        _check(text, kind, amount)
        if amount is None and kind in _DEFAULTS:
            amount = _DEFAULTS[kind]
        return cls(kind, amount)


_DEFAULTS = {VOCABULARY: DEFAULT_VOCABULARY, DISTIL: DEFAULT_EPOCHS}


def _check(text: str, kind: str, amount: float | None) -> None:
    if kind in {FP16, INT8}:
        if amount is not None:
            raise ConfigError(f"steps: {text!r}: {kind} takes no number")
    elif kind in {HEADS, NEURONS}:
        if amount is None or not 0 < amount <= 1:
            raise ConfigError(f"steps: {text!r}: give the part that is kept, as in {kind}:0.5")
    elif amount is None:
        if kind == LAYERS:
            raise ConfigError(f"steps: {text!r}: give the number of layers that are kept")
    elif amount < 1 or not float(amount).is_integer():
        raise ConfigError(f"steps: {text!r}: {amount:g} is not a whole number above 0")


def parse_steps(texts: tuple[str, ...]) -> tuple[Step, ...]:
    """The steps of a chain. Raises ConfigError for one that cannot be read, for none, and where something would change
    the weights after they were written as int8 or float16."""
    steps = tuple(Step.parse(text) for text in texts)
    if not steps:
        raise ConfigError(f"steps: missing; there are {', '.join(STEPS)}")
    for place, step in enumerate(steps):
        later = {each.kind for each in steps[place + 1 :]}
        if step.kind == INT8 and later:
            raise ConfigError(f"steps: {step} must be the last one")
        if step.kind == FP16 and later - {INT8}:
            raise ConfigError(f"steps: after {step} only int8 can come")
    return steps


@dataclass(frozen=True, kw_only=True)
class CompressionConfig(TrainingSettings):
    """The options of `ml_core.compression.compress`; any option of training besides is for the distillation.

    Raises ConfigError for a value out of range and for steps that cannot be taken.
    """

    model: Path = option("The artefact to make smaller.")
    data: Path = option("Labelled rows of its task: what matters is measured and learned on them.")
    validation: Path | None = option(
        "File to measure the loss on; without it a part of data is split off.", default=None
    )
    out: Path = option("Directory to write the artefact to; must not exist, or be empty.")
    overwrite: bool = option("Replace an artefact that is already at out.", default=False)
    steps: tuple[str, ...] = option(
        "What is done, in this order: layers:N keeps N layers; heads:SHARE and neurons:SHARE keep that part of the "
        "attention heads and feed-forward neurons; vocabulary:N keeps N tokens; distil:EPOCHS learns from the model as "
        "it was; fp16 writes weights in half the bytes; int8 adds an ONNX file with int8 products, which answers.",
        default=(),
    )
    search: bool = option(
        "Try a grid of steps and keep the fastest model within max_loss, instead of steps.",
        default=False,
    )
    max_loss: float | None = option(
        "By how much the main figure may fall on the validation part, as 0.01 for a point; more is an error. Unset: "
        "any loss is accepted, and stated.",
        default=None,
        at_least=0,
        at_most=1,
    )
    unlabelled: Path | None = option(
        "Texts without labels (.txt, .csv, .jsonl, .parquet): their tokens are kept, and the distillation learns what "
        "the model says of them.",
        default=None,
    )
    importance_rows: int = option(
        "Training rows on which it is measured what matters.", default=512, at_least=1
    )
    rounds: int = option(
        "In how many rounds heads and neurons are cut; what matters is measured again in each.",
        default=2,
        at_least=1,
        at_most=50,
    )
    teacher_share: float = option(
        "Distillation: part of the loss that is the distance to the model's answers; the rest is that to the labels.",
        default=0.7,
        at_least=0,
        at_most=1,
    )
    teacher_temperature: float = option(
        "Distillation: softness of the answers that are learned.", default=2.0, above=0
    )
    teacher_states: float = option(
        "Distillation: weight of the distance to the inner states of the model. 0: off.",
        default=1.0,
        at_least=0,
    )
    checkpoints: Path | None = option(
        "Directory for finished steps and checkpoints; a compression that finds those of the same settings there goes "
        "on from them. Emptied when the artefact is written. Unset: none are kept.",
        default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.search and self.steps:
            raise ConfigError("steps: leave them out with search, which tries its own")
        if self.search and self.max_loss is None:
            raise ConfigError("max_loss: missing; a search needs to know what may be lost")
        if not self.search:
            parse_steps(self.steps)
