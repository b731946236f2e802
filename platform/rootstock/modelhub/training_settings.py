"""What people may set of a training run, and what of it is in order.

The options are those of `ml_core.training`. Where rows come from and results go to is the platform's own; a file is
never a path but names a row of the organisation: "file:ID", "dataset:ID" or "snapshot:ID".
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.utils.translation import gettext as _

from ml_core.training import ConfigError, Option, TrainConfig, training_options
from rootstock.modelhub.errors import ModelhubError

# Filled by the run itself, from its snapshot and its own directory.
OWN = frozenset({
    "task", "train", "validation", "text_column", "label_column", "validation_fraction", "items", "previous", "out",
    "overwrite", "device", "sharding", "checkpoints", "reporting_directory",
})  # fmt: skip
# What matters in most runs; a form shows these first.
FIRST = ("base", "epochs", "method", "learning_rate", "batch_size")
# What the options that are files may name.
FILES: dict[str, tuple[str, ...]] = {
    "rules": ("file",),
    "gazetteer": ("file",),
    "synonyms": ("file",),
    "label_descriptions": ("file",),
    "verbalisers": ("file",),
    "unlabelled": ("dataset", "file"),
    "out_of_scope": ("file",),
    "replay": ("snapshot",),
    "earlier": ("snapshot",),
}
# Options of one run that a search must not change under it.
_NOT_SEARCHED = frozenset({*FILES, "reporting", "checkpoint_minutes", "languages"})
MAX_TRIALS = 200
_MOST_TRIED = 50
_MAX_WORDS = 200

_REFERENCE = re.compile(r"(file|dataset|snapshot):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
# The bases that need no download.
BASES = ("auto", "packaged", "rootstock-mini")
# A base is one of these or a hub name. A path would reach other organisations' files.
_BASE = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class Reference:
    """A row that stands for a file: `kind` is "file", "dataset" or "snapshot"."""

    kind: str
    pk: uuid.UUID

    def __str__(self) -> str:
        return f"{self.kind}:{self.pk}"


@cache
def reporting_installed() -> tuple[str, ...]:
    """Which of the programs that follow trainings are installed here."""
    option = next(each for each in training_options() if each.name == "reporting")
    return tuple(name for name in option.choices or () if importlib.util.find_spec(name))


@cache
def settable_options(task: str | None = None, *, offered: bool = False) -> tuple[Option, ...]:
    """The options that people may set, of one task or of all, in the order in which they are read; `offered` leaves out
    the reporting that needs a package which is not installed here."""
    options = []
    for option in training_options():
        foreign = task is not None and option.tasks is not None and task not in option.tasks
        if option.name in OWN or foreign:
            continue
        if offered and option.name == "reporting":
            if not reporting_installed():
                continue
            option = dataclasses.replace(option, choices=reporting_installed())  # noqa: PLW2901
        options.append(option)
    return tuple(options)


def option_default(option: Option) -> Any:
    """The default as a JSON value."""
    return list(option.default) if isinstance(option.default, tuple) else option.default


def reference(value: object) -> Reference | None:
    """The row that a value names, or None when it names none."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return Reference(found[1], uuid.UUID(found[2])) if found else None


def references(config: Mapping[str, Any]) -> dict[str, list[Reference]]:
    """The rows that a checked config names, by option."""
    named: dict[str, list[Reference]] = {}
    for name in FILES:
        value = config.get(name)
        values = value if isinstance(value, list) else [value]
        found = [each for each in map(reference, values) if each is not None]
        if found:
            named[name] = found
    return named


def check_config(config: Mapping[str, Any], *, task: str) -> dict[str, Any]:
    """The options as JSON values, checked by ml_core itself; whether the rows they name exist is not looked up.

    Raises:
        ModelhubError: that names the option.
    """
    options = {option.name: option for option in settable_options(task)}
    asked: dict[str, Any] = {}
    for key, value in config.items():
        option = options.get(str(key))
        if option is None:
            raise bad_option(str(key), _unknown(str(key), task, options))
        asked[option.name] = _placeholder(option, value)
    try:
        checked = TrainConfig.from_mapping(
            {"train": "train.jsonl", "out": "out", "task": task, **asked}
        )
    except ConfigError as error:
        name = str(error).partition(":")[0]
        raise bad_option(name if name in options else "", str(error)) from error
    for name in checked.reporting:
        if name not in reporting_installed():
            raise bad_option("reporting", _("The package %s is not installed here.") % name)
    values = checked.to_dict()
    return {
        key: config[key] if key in FILES else _plain(values[key])
        for key in asked
        if config[key] is not None
    }


def check_search(space: Mapping[str, Any], trials: int, *, task: str) -> dict[str, Any]:
    """What a search tries, checked: {option: [values]} or {option: {"low", "high", "log"}}.

    Raises:
        ModelhubError: that names the option.
    """
    options = {option.name: option for option in settable_options(task)}
    if not space:
        raise _bad("space", _("Name at least one option and what may be tried for it."))
    if not 2 <= trials <= MAX_TRIALS:
        raise _bad("trials", _("From 2 to %(most)d models can be tried.") % {"most": MAX_TRIALS})
    for key, values in space.items():
        place = f"space/{key}"
        option = options.get(str(key))
        if option is None:
            raise _bad(place, _unknown(str(key), task, options))
        if key in _NOT_SEARCHED:
            raise _bad(place, _("This option cannot be searched for."))
        if isinstance(values, Mapping):
            _check_range(place, option, values, task)
        elif isinstance(values, list) and 1 <= len(values) <= _MOST_TRIED:
            for value in values:
                _check_tried(place, option, value, task)
        else:
            raise _bad(place, _("Give a list of values, or low and high."))
    return {str(key): values for key, values in space.items()}


def bad_option(option: str, problem: str) -> ModelhubError:
    """A refusal that points at an option."""
    return _bad(f"config/{option}".rstrip("/"), problem)


def _check_range(place: str, option: Option, values: Mapping[str, Any], task: str) -> None:
    low, high = values.get("low"), values.get("high")
    if option.kind not in {"int", "float"}:
        raise _bad(place, _("Only of a number low and high can be given; give a list of values."))
    numbers = isinstance(low, int | float) and isinstance(high, int | float)
    if not numbers or set(values) - {"low", "high", "log"} or not low < high:  # type: ignore[operator]
        raise _bad(place, _("Give low and high, low below high, and log if it grows by factors."))
    if values.get("log") not in (None, True, False) or (values.get("log") and low <= 0):  # type: ignore[operator]
        raise _bad(place, _("log is true or false; with it low must be above 0."))
    for value in (low, high):
        _check_tried(place, option, value, task)


def _check_tried(place: str, option: Option, value: Any, task: str) -> None:
    try:
        check_config({option.name: value}, task=task)
    except ModelhubError as error:
        raise _bad(place, error.message) from error


def _placeholder(option: Option, value: Any) -> Any:
    """The value as ml_core may see it: something in the place of a file."""
    if isinstance(value, float) and not math.isfinite(value):
        raise bad_option(option.name, _("This is no finite number."))
    if option.name in FILES:
        return _file_placeholder(option, value)
    if value is None:
        return None
    if isinstance(value, str) and ("\0" in value or len(value) > _MAX_WORDS):
        raise bad_option(option.name, _("This text is too long or has characters it may not have."))
    if option.name == "base" and not (isinstance(value, str) and _BASE.fullmatch(value)):
        raise bad_option(
            "base", _("Use “auto”, “packaged”, “rootstock-mini” or the name of a model on the hub.")
        )
    if option.kind == "names":
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, list | tuple) or len(words) > _MAX_WORDS:
            raise bad_option(option.name, _("Give a list of words."))
        for word in words:
            if not isinstance(word, str) or "\0" in word or len(word) > _MAX_WORDS:
                raise bad_option(option.name, _("Give a list of words."))
            if option.name == "languages" and not _LANGUAGE.fullmatch(word.strip()):
                raise bad_option(
                    option.name, _("Give a list of language codes, such as en and zh.")
                )
    elif isinstance(value, list | tuple | dict):
        raise bad_option(option.name, _("Give a single value."))
    return value


def _file_placeholder(option: Option, value: Any) -> Any:
    if value is None:
        return None
    values = value if isinstance(value, list) and option.kind == "names" else [value]
    for each in values:
        named = reference(each)
        if named is None or named.kind not in FILES[option.name]:
            raise bad_option(
                option.name,
                _("A file cannot be named by its path. Give %(forms)s.")
                % {"forms": " / ".join(f"{kind}:ID" for kind in FILES[option.name])},
            )
    if option.kind == "names":
        return [str(each) for each in values]
    return "a-file"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _unknown(key: str, task: str, options: Mapping[str, Option]) -> str:
    if key in OWN:
        return _("The platform fills this option itself.")
    known = next((option for option in training_options() if option.name == key), None)
    if known is not None and known.tasks is not None and task not in known.tasks:
        return _("This option is for %(tasks)s; not for %(task)s.") % {
            "tasks": ", ".join(known.tasks),
            "task": task,
        }
    near = difflib.get_close_matches(key, options, n=1, cutoff=0.5)
    if near:
        return _("Unknown option; did you mean “%(near)s”?") % {"near": near[0]}
    return _("Unknown option.")


def _bad(place: str, problem: str) -> ModelhubError:
    return ModelhubError("invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}])
