"""What an option is: a dataclass field that carries its explanation, its bounds and the tasks it is for."""

from __future__ import annotations

import dataclasses
import inspect
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any


class ConfigError(ValueError):
    """A training option that is unknown, missing, out of range or not for this task."""


def option(
    help: str,
    *,
    default: Any = MISSING,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    tasks: tuple[str, ...] | None = None,
) -> Any:
    """A field of an option group.

    ``help`` is one sentence or two for people; the bounds hold for numbers, ``choices`` for text and for each name
    of a list; ``tasks`` names the tasks that have the option (None: all).
    """
    metadata = {
        "help": help,
        "bounds": (at_least, above, at_most, below),
        "choices": choices,
        "tasks": tasks,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Option:
    """An option as a form or a schema needs it. ``kind`` is "int", "float", "str", "bool", "Path" or
    "names" (a list of words); ``group`` is the title of its section."""

    name: str
    group: str
    kind: str
    optional: bool
    default: Any
    required: bool
    help: str
    at_least: float | None
    above: float | None
    at_most: float | None
    below: float | None
    choices: tuple[str, ...] | None
    tasks: tuple[str, ...] | None


def describe(group: type, title: str) -> Iterator[Option]:
    """The options that the dataclass ``group`` itself declares, in order."""
    own = inspect.get_annotations(group)
    for each in fields(group):
        if each.name not in own:
            continue
        at_least, above, at_most, below = each.metadata["bounds"]
        yield Option(
            name=each.name,
            group=title,
            kind=_kind(each),
            optional=str(each.type).endswith("| None"),
            default=None if each.default is MISSING else each.default,
            required=each.default is MISSING,
            help=each.metadata["help"],
            at_least=at_least,
            above=above,
            at_most=at_most,
            below=below,
            choices=each.metadata["choices"],
            tasks=each.metadata["tasks"],
        )


def check(option: Option, value: Any) -> None:
    """Raise ConfigError when ``value`` is outside the option's bounds or choices."""
    if value is None:
        return
    if option.kind in {"int", "float"}:
        for bound, good, words in (
            (option.at_least, operator.ge, "at least"),
            (option.above, operator.gt, "above"),
            (option.at_most, operator.le, "at most"),
            (option.below, operator.lt, "below"),
        ):
            if bound is not None and not good(value, bound):
                raise ConfigError(f"{option.name}: must be {words} {bound:g}, not {value!r}")
    if option.choices is not None:
        for word in value if option.kind == "names" else (value,):
            if word not in option.choices:
                raise ConfigError(
                    f"{option.name}: must be one of {', '.join(option.choices)}; not {word!r}"
                )


def convert(option: Option, value: Any) -> Any:
    """Turn a YAML, JSON or command-line value into the option's type; YAML reads 2e-4 as text.

    Raises ConfigError for a value of another kind.
    """
    if value is None:
        if option.optional:
            return None
        raise ConfigError(f"{option.name}: must have a value")
    turn, name = _CONVERTERS[option.kind]
    try:
        return turn(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{option.name}: {value!r} is not {name}") from None


def _kind(field: Field[Any]) -> str:
    kind = str(field.type).removesuffix(" | None")
    return "names" if kind.startswith("tuple") else kind


def _to_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


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


_CONVERTERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "int": (_to_int, "a whole number"),
    "float": (_to_float, "a number"),
    "str": (_to_str, "text"),
    "bool": (_to_bool, "true or false"),
    "Path": (lambda value: Path(_to_str(value)), "a path"),
    "names": (_to_names, "a list of names"),
}
