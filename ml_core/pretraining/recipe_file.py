"""A recipe as it is written: a YAML file with a name, a directory, and stages in order.

A value ``stage:NAME`` stands for the directory that an earlier stage wrote, ``$VARIABLE`` for an environment variable.
What a stage writes is named by a fingerprint of everything that decides it: its kind and settings, the contents of its
files, and the fingerprints of the stages that it takes from. So a stage whose output is there need not run again, and
one with other settings never overwrites it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_core.models.bases import SHIPPED
from ml_core.registry.artifact import sha256_file
from ml_core.training.config import read_yaml
from ml_core.training.options import ConfigError

# In the order in which they usually come. The first two prepare, the last one packs; the others train.
KINDS = ("corpus", "vocabulary", "masked_lm", "distil", "align", "contrast", "export")
MODEL_KINDS = frozenset(KINDS) - {"corpus"}
_NEEDS_MODEL = MODEL_KINDS - {"vocabulary"}
# The directory that a stage writes, inside NAME-FINGERPRINT.
OUTPUT = "output"
_REFERENCE = "stage:"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
# What changes where or how fast a stage runs, or where its result is copied to, but not the result.
_FREE = {
    "device", "checkpoint_minutes", "activation_checkpointing", "reporting", "reporting_directory", "to",
    "workers",
}  # fmt: skip


@dataclass(frozen=True)
class StageEntry:
    """A stage of a recipe. ``written`` are its settings as the file has them, ``values`` those with references and
    variables put in, ``model`` what it goes on from (None for a stage without), ``directory`` where its output and its
    record are or will be."""

    name: str
    kind: str
    written: dict[str, Any]
    values: dict[str, Any]
    model: str | None
    fingerprint: str
    directory: Path

    @property
    def output(self) -> Path:
        return self.directory / OUTPUT

    @property
    def record_file(self) -> Path:
        return self.directory / "record.json"


@dataclass(frozen=True)
class Recipe:
    """A recipe with its stages in order."""

    name: str
    out: Path
    stages: tuple[StageEntry, ...]


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe and find out what each stage takes from. Raises ConfigError naming the file and the stage."""
    path = Path(path)
    values = read_yaml(path)
    unknown = sorted(set(map(str, values)) - {"name", "out", "stages"})
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; a recipe has name, out and stages")
    entries = values.get("stages")
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path}: stages: expected a list of stages")
    if not values.get("out"):
        raise ConfigError(f"{path}: out: missing; the directory to work in")
    out = Path(_expanded(str(values["out"]), f"{path}: out"))
    stages: dict[str, StageEntry] = {}
    model: StageEntry | None = None
    for number, entry in enumerate(entries, start=1):
        try:
            stage = _stage(entry, stages, model, out)
        except ConfigError as error:
            raise ConfigError(f"{path}: stage {number}: {error}") from None
        stages[stage.name] = stage
        if stage.kind in MODEL_KINDS:
            model = stage
    return Recipe(str(values.get("name") or path.stem), out, tuple(stages.values()))


def _stage(
    entry: Any, earlier: Mapping[str, StageEntry], last_model: StageEntry | None, out: Path
) -> StageEntry:
    if not isinstance(entry, Mapping) or entry.get("stage") not in KINDS:
        raise ConfigError(f"expected a mapping with stage: one of {', '.join(KINDS)}")
    kind = str(entry["stage"])
    name = str(entry.get("name") or kind)
    if not _NAME.fullmatch(name):
        raise ConfigError(f"name: {name!r}: use small letters, digits, - and _")
    if name in earlier:
        raise ConfigError(f"name: there is a stage {name!r} already; give this one another name")
    given = {key: value for key, value in entry.items() if key not in ("stage", "name", "model")}
    asked = entry.get("model")
    if asked is None and kind in _NEEDS_MODEL:
        if last_model is None:
            raise ConfigError("model: missing; no earlier stage makes one")
        asked = _REFERENCE + last_model.name
    if asked is not None and kind not in _NEEDS_MODEL:
        raise ConfigError(f"unknown setting 'model'; {kind} goes on from none")
    marks: dict[str, Any] = {"kind": kind, "files": {}}
    places = _walk(given, _Placer(earlier, {}).place)
    model = None if asked is None else str(_Placer(earlier, {}).place(str(asked), "model"))
    marker = _Placer(earlier, marks["files"])
    decisive = {key: value for key, value in given.items() if key not in _FREE}
    marks["values"] = _walk(decisive, marker.mark)
    marks["model"] = None if asked is None else marker.mark(str(asked), "model")
    fingerprint = hashlib.sha256(
        json.dumps(marks, sort_keys=True, default=str).encode()
    ).hexdigest()
    directory = out / f"{name}-{fingerprint[:10]}"
    return StageEntry(name, kind, given, places, model, fingerprint, directory)


class _Placer:
    """Puts in what texts stand for: paths to use, or marks of what is there."""

    def __init__(self, earlier: Mapping[str, StageEntry], files: dict[str, str]) -> None:
        self._earlier = earlier
        self._files = files

    def place(self, text: str, where: str) -> str:
        """The text with variables put in, and the directory for a reference."""
        text = _expanded(text, where)
        if not text.startswith(_REFERENCE):
            return text
        stage, rest = self._referred(text, where)
        return str(stage.output / rest) if rest else str(stage.output)

    def mark(self, text: str, where: str) -> str:
        """What decides a result: of a reference the stage's fingerprint, of a path the contents of its files."""
        text = _expanded(text, where)
        if text.startswith(_REFERENCE):
            stage, rest = self._referred(text, where)
            return f"{_REFERENCE}{stage.fingerprint}/{rest}"
        if text in SHIPPED:
            return text
        digest = _contents(Path(text))
        if digest is None:
            return text
        self._files[where] = digest
        return digest

    def _referred(self, text: str, where: str) -> tuple[StageEntry, str]:
        name, _, rest = text.removeprefix(_REFERENCE).partition("/")
        if name not in self._earlier:
            known = ", ".join(self._earlier) or "none"
            raise ConfigError(f"{where}: there is no earlier stage {name!r} (there are: {known})")
        return self._earlier[name], rest


def _walk(value: Any, change: Callable[[str, str], str], where: str = "") -> Any:
    """``value`` with every text in it changed; ``where`` is the way to it."""
    if isinstance(value, str):
        return change(value, where)
    if isinstance(value, Mapping):
        return {
            str(key): _walk(each, change, f"{where}.{key}" if where else str(key))
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_walk(each, change, f"{where}[{at}]") for at, each in enumerate(value)]
    return value


def _expanded(text: str, where: str) -> str:
    """``text`` with environment variables put in; raises ConfigError for one that is not set."""
    found = os.path.expandvars(text)
    lacking = re.search(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))", found)
    if lacking and found == text:
        name = lacking.group(1) or lacking.group(2)
        raise ConfigError(f"{where}: the environment variable {name} is not set")
    return found


def _contents(path: Path) -> str | None:
    """One SHA-256 over the files that a path or pattern names; None when it names none."""
    try:
        if path.is_file():
            return sha256_file(path)
        if path.is_dir():
            files = sorted(each for each in path.rglob("*") if each.is_file())
        elif any(character in str(path) for character in "*?["):
            pattern = str(path.relative_to(path.anchor))
            files = sorted(each for each in Path(path.anchor).glob(pattern) if each.is_file())
        else:
            return None
    except (OSError, ValueError):
        return None  # no path at all: a sentence, a pattern that means nothing
    lines = "".join(f"{file.name}:{sha256_file(file)}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest() if files else None
