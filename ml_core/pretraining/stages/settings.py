"""The settings of a stage: its own, declared like training options, and the training options that it passes on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ml_core.training.config import TrainConfig, training_options
from ml_core.training.options import ConfigError, check, convert, describe

# What the recipe says itself about every training.
_TAKEN = {"task", "base", "train", "validation", "out", "overwrite", "checkpoints"}


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """What every training stage has: its own options, declared in a subclass, and ``training``, those of
    `ml_core.training` that were set."""

    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in describe(type(self), ""):
            check(each, getattr(self, each.name))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from the keys and values of a recipe's stage. Raises ConfigError for a key that is unknown (naming the
        nearest), missing, or has a value of the wrong kind or out of range."""
        own = {each.name: each for each in describe(cls, "")}
        passed = {each.name: each for each in training_options() if each.name not in _TAKEN}
        for key in values:
            if key not in own and key not in passed:
                near = difflib.get_close_matches(str(key), [*own, *passed], n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(f"unknown setting {str(key)!r}{hint}")
        for name, each in own.items():
            if each.required and values.get(name) in (None, ""):
                raise ConfigError(f"{name}: missing")
        training = {key: value for key, value in values.items() if key not in own}
        made = {key: cls.read(own[key], value) for key, value in values.items() if key in own}
        return cls(**made, training=training)

    @classmethod
    def read(cls, option: Any, value: Any) -> Any:
        """A value of a setting; for what is no plain value a subclass has its own way."""
        return convert(option, value)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        own = {key: _plain(value) for key, value in asdict(self).items() if key != "training"}
        return own | {key: _plain(value) for key, value in self.training.items()}

    def train_config(
        self,
        *,
        task: str,
        base: Path | str,
        train: Path,
        out: Path,
        checkpoints: Path | None,
        defaults: Mapping[str, Any],
        **more: Any,
    ) -> TrainConfig:
        """The options of the training; ``defaults`` are the stage's, which the recipe's own values replace."""
        values: dict[str, Any] = {**defaults, **self.training, **more}
        values |= {"task": task, "base": str(base), "train": train, "out": out}
        return TrainConfig.from_mapping(values | {"checkpoints": checkpoints})


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
