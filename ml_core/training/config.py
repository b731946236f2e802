"""Every option of a training run, with its default and what it does."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import yaml

TASKS = ("text-classification",)


class ConfigError(ValueError):
    """A training option that is unknown, missing or out of range."""


def _help(text: str) -> dict[str, str]:
    """The explanation of an option, kept with its field; also its line in ``--help``."""
    return {"help": text}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The options of `ml_core.training.train`. The ``help`` of each field is also its line in
    ``--help``.

    Raises ConfigError for a value out of range.
    """

    train: Path = field(
        metadata=_help("File of labelled texts to learn from: .csv, .jsonl or .parquet.")
    )
    out: Path = field(
        metadata=_help("Directory to write the artefact to; must not exist, or be empty.")
    )
    validation: Path | None = field(
        default=None,
        metadata=_help(
            "File to choose the best epoch by and to report on; without it a part of the training file is "
            "split off."
        ),
    )
    task: str = field(
        default="text-classification", metadata=_help(f"What to learn: {', '.join(TASKS)}.")
    )
    base: str = field(
        default="packaged",
        metadata=_help(
            'Model to start from: "packaged" (all-MiniLM-L6-v2, English), a directory, or a hub name.'
        ),
    )
    text_column: str = field(default="text", metadata=_help("Column (or key) of the text."))
    label_column: str = field(default="label", metadata=_help("Column (or key) of the label."))
    validation_fraction: float = field(
        default=0.1,
        metadata=_help(
            "Part of each label's examples to split off when there is no validation file."
        ),
    )
    epochs: int = field(default=4, metadata=_help("Passes over the training data, at most."))
    batch_size: int = field(default=32, metadata=_help("Texts of one forward and backward pass."))
    gradient_accumulation: int = field(
        default=1,
        metadata=_help(
            "Batches per optimiser step: the effective batch is batch_size times this, at the memory of one "
            "batch."
        ),
    )
    learning_rate: float | None = field(
        default=None,
        metadata=_help(
            "Peak learning rate; unset: 2e-4 · (384 / hidden size)², within 1e-5 and 5e-4, so 2e-4 for "
            "MiniLM and 5e-5 for a BERT-base."
        ),
    )
    weight_decay: float = field(
        default=0.01, metadata=_help("AdamW weight decay; not on biases and norms.")
    )
    warmup_ratio: float = field(
        default=0.1,
        metadata=_help(
            "Part of all steps over which the learning rate rises; then it falls to 0 in a line."
        ),
    )
    dropout: float = field(default=0.1, metadata=_help("Dropout before the classification layer."))
    max_length: int = field(
        default=256,
        metadata=_help(
            "Tokens of a text that are read, special tokens included; the rest is cut off."
        ),
    )
    class_weighting: str = field(
        default="none",
        metadata=_help(
            'Loss weights: "none", or "balanced" (each label weighs the same however rare it is).'
        ),
    )
    early_stopping_patience: int = field(
        default=2,
        metadata=_help(
            "Stop after this many epochs without a better macro F1 on the validation part; 0: never."
        ),
    )
    languages: tuple[str, ...] | None = field(
        default=None,
        metadata=_help(
            "Languages the model can read, comma-separated ISO 639-1 codes; unset: found by trying the "
            "base's tokenizer on English and Chinese."
        ),
    )
    seed: int = field(
        default=13, metadata=_help("Seed of the split, the order of the texts and the new weights.")
    )
    device: str = field(
        default="auto",
        metadata=_help('"auto" (a GPU when there is one), "cpu", "cuda" or "cuda:N".'),
    )
    overwrite: bool = field(
        default=False, metadata=_help("Replace an artefact that is already at out.")
    )

    def __post_init__(self) -> None:
        positive = ("epochs", "batch_size", "gradient_accumulation")
        for name in positive:
            self._require(name, getattr(self, name) >= 1, "must be at least 1")
        self._require("max_length", self.max_length >= 8, "must be at least 8")
        self._require("weight_decay", self.weight_decay >= 0, "must not be negative")
        self._require(
            "early_stopping_patience", self.early_stopping_patience >= 0, "must not be negative"
        )
        self._require("validation_fraction", 0 < self.validation_fraction < 1, "must be in (0, 1)")
        for name in ("warmup_ratio", "dropout"):
            self._require(name, 0 <= getattr(self, name) < 1, "must be in [0, 1)")
        rate = self.learning_rate
        self._require("learning_rate", rate is None or 0 < rate < 1, "must be in (0, 1)")
        self._require("seed", 0 <= self.seed < 2**32, "must be in [0, 2^32)")
        self._require("task", self.task in TASKS, f"must be one of: {', '.join(TASKS)}")
        weighting = self.class_weighting in {"none", "balanced"}
        self._require("class_weighting", weighting, "must be none or balanced")

    def _require(self, name: str, condition: bool, problem: str) -> None:
        if not condition:
            raise ConfigError(f"{name}: {problem}, not {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from option names and values (numbers may be text). Raises ConfigError for an
        unknown option, naming the nearest one, for one that is missing and for a value of the
        wrong kind."""
        options = {option.name: option for option in fields(cls)}
        for key in values:
            if key not in options:
                near = difflib.get_close_matches(str(key), options, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(f"unknown option {str(key)!r}{hint}")
        for name, option in options.items():
            if option.default is MISSING and values.get(name) in (None, ""):
                raise ConfigError(f"{name}: missing")
        return cls(**{key: _coerce(options[key], value) for key, value in values.items()})

    @classmethod
    def from_yaml(cls, path: Path | str, **overrides: Any) -> Self:
        """Build from the mapping in a YAML file; ``overrides`` win. Relative paths are relative
        to the working directory, as on the command line. Raises ConfigError as `from_mapping`
        does, and for an unreadable file."""
        return cls.from_mapping(read_yaml(path) | overrides)


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


def _coerce(option: Field[Any], value: Any) -> Any:
    """Turn a YAML or command-line value into the option's type; YAML reads 2e-4 as text."""
    kind = str(option.type)
    if value is None:
        if "None" in kind:
            return None
        raise ConfigError(f"{option.name}: must have a value")
    convert = _CONVERTERS[kind.removesuffix(" | None")]
    try:
        return convert(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{option.name}: {value!r} is not {_KIND_NAMES[kind.removesuffix(' | None')]}"
        ) from None


def _to_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def _to_str(value: Any) -> str:
    if not isinstance(value, (str, Path)):
        raise ValueError
    return str(value)


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "false": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


def _to_names(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    names = tuple(_to_str(item).strip() for item in items)
    if not all(names):
        raise ValueError
    return names


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "int": _to_int,
    "float": _to_float,
    "str": _to_str,
    "bool": _to_bool,
    "Path": lambda value: Path(_to_str(value)),
    "tuple[str, ...]": _to_names,
}
_KIND_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "Path": "a path",
    "tuple[str, ...]": "a list of names",
}
