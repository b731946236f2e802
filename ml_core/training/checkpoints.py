"""Checkpoints that can be trusted: each says what is in it, and half a one is never taken up.

A checkpoint is the directory that transformers' Trainer writes, with ``methods.pt``, the best weights so far and, last
of all, ``whole.json``: the SHA-256 of every other file and the fingerprint of the run. One without it, or with a file
that changed, counts as not there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ml_core.registry.artifact import sha256_file
from ml_core.tasks.base import TaskData
from ml_core.training.config import ConfigError, TrainConfig

# Of a run with several trainings: what they share and what is left of those that ended.
ENSEMBLE = "ensemble"
_MARK = "whole.json"
# Options that do not change what is learned: a run may go on with others.
_FREE = {
    "out", "overwrite", "device", "checkpoints", "checkpoint_minutes", "reporting",
    "reporting_directory", "train", "validation", "activation_checkpointing", "out_of_scope", "out_of_scope_score",
    "in_scope_accuracy",
}  # fmt: skip


def fingerprint(config: TrainConfig, data: TaskData) -> dict[str, Any]:
    """What two runs must have in common for one to go on from the other's checkpoint: options and data."""
    options = {key: value for key, value in config.to_dict().items() if key not in _FREE}
    hashes = {"train_sha256": data.train_sha256, "validation_sha256": data.validation_sha256}
    found: dict[str, Any] = json.loads(json.dumps(options | hashes | data.settings))
    return found


def seal(directory: Path, run: dict[str, Any]) -> None:
    """Declare a checkpoint whole."""
    files = {
        file.name: sha256_file(file)
        for file in sorted(directory.iterdir())
        if file.is_file() and file.name != _MARK
    }
    text = json.dumps({"run": run, "files": files}, ensure_ascii=False)
    half = directory / f"{_MARK}.half"
    half.write_text(text, encoding="utf-8")
    half.rename(directory / _MARK)


def newest_checkpoint(directory: Path, run: dict[str, Any]) -> Path | None:
    """The whole checkpoint with the most steps, or None.

    Raises ConfigError when the directory holds checkpoints of a run with other settings or data: going on would mix
    two runs, starting anew would lose the other's.
    """
    for candidate in sorted(directory.glob("checkpoint-*"), key=_step, reverse=True):
        if is_whole(candidate, run, directory):
            return candidate
    return None


def is_whole(sealed: Path, run: dict[str, Any], directory: Path) -> bool:
    """Whether ``sealed``, in the ``directory`` of a run's checkpoints, was declared whole and still is.

    Raises ConfigError when it is that of a run with other settings or data.
    """
    try:
        mark = json.loads((sealed / _MARK).read_text(encoding="utf-8"))
        files: dict[str, str] = mark["files"]
        whole = all(sha256_file(sealed / name) == value for name, value in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if whole and mark["run"] != run:
        other = sorted(
            key for key in run.keys() | mark["run"].keys() if run.get(key) != mark["run"].get(key)
        )
        raise ConfigError(
            f"checkpoints: {directory} holds those of another run (different: {', '.join(other)}); "
            "empty it or name another directory"
        )
    return whole


def discard(directory: Path) -> None:
    """Remove the checkpoints of a run that has ended well; other files stay."""
    for candidate in [*directory.glob("checkpoint-*"), directory / ENSEMBLE]:
        shutil.rmtree(candidate, ignore_errors=True)
    if directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()


def discard_broken(directory: Path) -> None:
    """Remove what a killed run left half written."""
    for candidate in directory.glob("checkpoint-*"):
        if not (candidate / _MARK).is_file():
            shutil.rmtree(candidate, ignore_errors=True)


def _step(path: Path) -> int:
    number = path.name.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() else -1
