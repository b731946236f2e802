"""Every option of a training run, with its default and what it does."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import yaml

from ml_core.training.options import (
    GROUPS,
    TASKS,
    ConfigError,
    ContinualOptions,
    DataOptions,
    EfficientOptions,
    FewShotOptions,
    GenerationOptions,
    ImageOptions,
    MatchingOptions,
    ModelOptions,
    MoreRowsOptions,
    OptimisationOptions,
    Option,
    OutOfScopeOptions,
    PretrainingOptions,
    RegularisationOptions,
    RunOptions,
    TaggingOptions,
    check,
    convert,
    describe,
)

__all__ = ["TASKS", "ConfigError", "TrainConfig", "options_page", "read_yaml", "training_options"]

_OPTIONS_INTRODUCTION = (
    "",
    "Each is a flag of `python -m ml_core train` (`--batch-size`), a key of a YAML file (`batch_size`), a field of",
    "`TrainConfig`, and a field of the form and of the REST API. An unknown one is an error that names the nearest;",
    "the tasks in italics are those that have the option, and set for another task it is refused. This page is what",
    "`python -m ml_core options` prints. How the methods are used is under [Training](ml_core.md#training).",
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(
    DataOptions,
    ModelOptions,
    OptimisationOptions,
    EfficientOptions,
    RegularisationOptions,
    MoreRowsOptions,
    FewShotOptions,
    OutOfScopeOptions,
    ContinualOptions,
    MatchingOptions,
    TaggingOptions,
    GenerationOptions,
    PretrainingOptions,
    ImageOptions,
    RunOptions,
):
    """The options of `ml_core.training.train`; each is declared and explained in `ml_core.training.options`.

    Raises ConfigError for a value out of range, and for an option set for a task that has none such.
    """

    def __post_init__(self) -> None:
        for option in training_options():
            value = getattr(self, option.name)
            check(option, value)
            foreign = option.tasks is not None and self.task not in option.tasks
            if foreign and value != option.default:
                raise ConfigError(
                    f"{option.name}: is for {', '.join(option.tasks or ())}; not for {self.task}"
                )

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from option names and values (numbers may be text). Raises ConfigError for an unknown option, naming
        the nearest one, for one that is missing and for a value of the wrong kind."""
        options = {option.name: option for option in training_options()}
        for key in values:
            if key not in options:
                near = difflib.get_close_matches(str(key), options, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(f"unknown option {str(key)!r}{hint}")
        for name, option in options.items():
            if option.required and values.get(name) in (None, ""):
                raise ConfigError(f"{name}: missing")
        return cls(**{key: convert(options[key], value) for key, value in values.items()})

    @classmethod
    def from_yaml(cls, path: Path | str, **overrides: Any) -> Self:
        """Build from the mapping in a YAML file; ``overrides`` win. Relative paths are relative to the working
        directory, as on the command line. Raises ConfigError as `from_mapping` does, and for an unreadable file."""
        return cls.from_mapping(read_yaml(path) | overrides)


@cache
def training_options() -> tuple[Option, ...]:
    """Every option in the order in which people read them; for forms, schemas and documentation."""
    return tuple(each for title, group in GROUPS for each in describe(group, title))


def options_page() -> str:
    """Every option as a Markdown page: docs/training_options.md."""
    lines: list[str] = ["# Training options", *_OPTIONS_INTRODUCTION]
    group = ""
    for option in training_options():
        if option.group != group:
            group = option.group
            lines += [
                "",
                f"## {group}",
                "",
                "| option | default | what it does |",
                "|---|---|---|",
            ]
        default = "required" if option.required else _shown(option.default)
        choices = f" One of {', '.join(option.choices)}." if option.choices else ""
        tasks = f" *{', '.join(option.tasks)}*" if option.tasks else ""
        lines.append(f"| `{option.name}` | {default} | {option.help}{choices}{tasks} |")
    return "\n".join([*lines, ""])


def _shown(default: Any) -> str:
    if default in (None, ()):
        return "unset"
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping of option names to values in a YAML file; raises ConfigError naming the file."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of option names to values")
    return values
