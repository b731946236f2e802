"""The settings of a stage, declared like training options; those of a stage that trains take training options too."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ml_core.training.config import TrainConfig, training_options
from ml_core.training.options import ConfigError, Option, check, convert, describe

# What the recipe says itself about every training.
_TAKEN = {"task", "base", "train", "validation", "out", "overwrite", "checkpoints"}


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """The settings that a subclass declares as options."""

    def __post_init__(self) -> None:
        for each in describe(type(self), ""):
            check(each, getattr(self, each.name))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from the keys and values of a recipe's stage. Raises ConfigError for a key that is unknown (naming the
        nearest), missing, or has a value of the wrong kind or out of range."""
        own = {each.name: each for each in describe(cls, "")}
        known = [*own, *cls.others()]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(f"unknown setting {str(key)!r}{hint}")
        for name, each in own.items():
            if each.required and values.get(name) in (None, ""):
                raise ConfigError(f"{name}: missing")
        made = {key: cls.read(own[key], value) for key, value in values.items() if key in own}
        return cls(**made, **cls.rest(values, own))

    @classmethod
    def others(cls) -> list[str]:
        """Keys that are known besides those that the class declares."""
        return []

    @classmethod
    def rest(cls, values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        """Further fields, from the values that are not the class's own."""
        return {}

    @classmethod
    def read(cls, option: Option, value: Any) -> Any:
        """A value of a setting; for what is no plain value a subclass has its own way."""
        return convert(option, value)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        values: dict[str, Any] = _plain(asdict(self))
        return values


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(StageSettings):
    """Those of a stage that trains. ``training`` are the options of `ml_core.training` that were set."""

    training: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def others(cls) -> list[str]:
        return [each.name for each in training_options() if each.name not in _TAKEN]

    @classmethod
    def rest(cls, values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        return {"training": {key: value for key, value in values.items() if key not in own}}

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        passed: dict[str, Any] = values.pop("training")
        return values | passed

    def train_config(
        self,
        *,
        task: str,
        base: Path | str,
        train: Path,
        out: Path,
        checkpoints: Path,
        defaults: Mapping[str, Any],
        validation: Path | None = None,
    ) -> TrainConfig:
        """The options of the training; ``defaults`` are the stage's, which the recipe's own values replace. Raises
        ConfigError."""
        given = {"task": task, "base": str(base), "train": train, "validation": validation}
        places = {"out": out, "checkpoints": checkpoints}
        return TrainConfig.from_mapping({**defaults, **self.training, **given, **places})


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
