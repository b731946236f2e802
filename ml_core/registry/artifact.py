"""The Artifact: a directory of weights, tokenizer, model card and the manifest that vouches for
them.

``model.safetensors``, ``config.json``, ``tokenizer.json`` and its settings, ``README.md`` (the
model card) and ``manifest.json``, which holds the SHA-256 of every other file. It is written beside
its final place and renamed, so it is there whole or not at all; it is never changed afterwards.
Nothing in it is ever unpickled or executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
CARD = "README.md"
WEIGHTS = "model.safetensors"
# Of a compressed model: the encoder with int8 products, which answers instead of the weights above.
INT8_WEIGHTS = "model.int8.onnx"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
RULES = "rules.json"
OUT_OF_SCOPE = "out_of_scope.safetensors"
_REQUIRED = (WEIGHTS, CONFIG, CARD)


class ArtifactError(Exception):
    """An artefact that cannot be used: which file of it, and what is wrong with that file."""

    def __init__(self, path: Path | str, problem: str) -> None:
        self.path = Path(path)
        self.problem = problem
        super().__init__(f"{path}: {problem}")


@dataclass(frozen=True)
class Manifest:
    """What an artefact is and how it was made.

    ``base`` is the model it was trained from, ``languages`` the ISO 639-1 codes it can read,
    ``metrics`` its scores on the validation part, ``config`` the training options with the hashes
    of the data files, ``parent`` the digest of the artefact it was trained from (None for a fresh
    base), ``libraries`` their versions, ``files`` name → SHA-256. ``method`` says which weights were
    trained ("full", "lora", …); with ``adapter_only`` the others are not in the artefact but those of
    the base, whose weights have the SHA-256 ``base_digest``. ``calibration`` holds what turns logits
    into honest probabilities (``temperature``), ``options`` what only this task or its methods need.
    """

    task: str
    base: str
    labels: tuple[str, ...]
    max_length: int
    languages: tuple[str, ...]
    metrics: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    parent: str | None = None
    libraries: dict[str, str] = field(default_factory=dict)
    method: str = "full"
    adapter_only: bool = False
    base_digest: str | None = None
    calibration: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    created_at: str = ""
    files: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, path: Path) -> Self:
        """Build from the JSON object of ``path``; raises ArtifactError naming the missing or
        wrong key."""
        version = values.get("format_version")
        if version != FORMAT_VERSION:
            problem = f"unknown format version {version!r}; this program reads {FORMAT_VERSION}"
            raise ArtifactError(path, problem)
        expected = {
            "task": str, "base": str, "labels": list, "max_length": int, "languages": list, "metrics": dict,
            "config": dict, "parent": str | None, "libraries": dict, "created_at": str, "files": dict,
        }  # fmt: skip
        for key, kind in expected.items():
            if key not in values:
                raise ArtifactError(path, f"key {key!r} is missing")
            if not isinstance(values[key], kind) or isinstance(values[key], bool):
                raise ArtifactError(path, f"key {key!r} has a value of the wrong kind")
        later: dict[str, Any] = {
            "method": str, "adapter_only": bool, "base_digest": str | None, "calibration": dict, "options": dict,
        }  # fmt: skip
        for key, kind in later.items():
            if key in values and not isinstance(values[key], kind):
                raise ArtifactError(path, f"key {key!r} has a value of the wrong kind")
        for key in ("labels", "languages"):
            if not all(isinstance(item, str) for item in values[key]):
                raise ArtifactError(path, f"key {key!r} holds something that is not text")
        known = {name.name for name in fields(cls)}
        taken = {key: value for key, value in values.items() if key in known}
        taken["labels"] = tuple(values["labels"])
        taken["languages"] = tuple(values["languages"])
        return cls(**taken)


@dataclass(frozen=True)
class Artifact:
    """An opened artefact directory. Opening reads the manifest and checks the files; it loads no
    weights."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path | str, *, verify: bool = True) -> Self:
        """Open the artefact at ``path``; with ``verify`` every file is hashed and compared with the
        manifest.

        Raises ArtifactError for a missing directory or file, a changed file, a broken manifest or
        an unknown format.
        """
        path = Path(path)
        if not path.is_dir():
            raise ArtifactError(path, "no such directory")
        source = path / MANIFEST
        try:
            values = json.loads(source.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ArtifactError(source, "missing; this directory is no artefact") from None
        except (OSError, ValueError, RecursionError) as error:
            raise ArtifactError(source, f"cannot be read: {error}") from None
        if not isinstance(values, dict):
            raise ArtifactError(source, "not a JSON object")
        manifest = Manifest.from_dict(values, path=source)
        for name in _REQUIRED:
            if name not in manifest.files:
                raise ArtifactError(source, f"names no hash for {name}")
        for name, expected in manifest.files.items():
            _check_file(path, name, expected, verify=verify)
        return cls(path=path, manifest=manifest)

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return (self.path / CARD).read_text(encoding="utf-8")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the manifest's file hashes: equal digests, equal models."""
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(self.manifest.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Bytes of all files the manifest names."""
        return sum((self.path / name).stat().st_size for name in self.manifest.files)


def write_artifact(
    path: Path | str,
    manifest: Manifest,
    write_files: Callable[[Path], None],
    *,
    overwrite: bool = False,
) -> Artifact:
    """Write an artefact atomically: ``write_files(directory)`` puts the weights, tokenizer and card
    into a temporary directory beside ``path``; the manifest gets their hashes and the time; then
    one rename.

    Raises ArtifactError when ``path`` is taken (see `check_free`); whatever fails, no half artefact
    is left.
    """
    path = Path(path)
    check_free(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        write_files(staging)
        files = {file.name: sha256_file(file) for file in sorted(staging.iterdir())}
        values = manifest.to_dict() | {
            "files": files,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "format_version": FORMAT_VERSION,
        }
        target = staging / MANIFEST
        target.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        Artifact.open(staging, verify=False)
        for file in staging.iterdir():
            _flush_to_disk(file)
        staging.chmod(0o755)
        _move_into_place(staging, path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return Artifact.open(path, verify=False)


def check_free(path: Path | str, *, overwrite: bool) -> None:
    """Raise ArtifactError unless ``path`` can take an artefact: absent, an empty directory, or,
    with ``overwrite``, another artefact. Anything else found there is never deleted."""
    path = Path(path)
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_dir():
        raise ArtifactError(path, "exists and is not a directory")
    if not any(path.iterdir()):
        return
    if not (path / MANIFEST).is_file():
        raise ArtifactError(path, "is a directory with other files in it; choose another place")
    if not overwrite:
        raise ArtifactError(path, "already holds an artefact; choose another place or overwrite it")


def _move_into_place(staging: Path, path: Path) -> None:
    if path.exists() and any(path.iterdir()):
        old = staging.with_suffix(".replaced")
        path.rename(old)
        try:
            staging.rename(path)
        except OSError:
            old.rename(path)
            raise
        shutil.rmtree(old)
    else:
        staging.rename(path)
    _flush_to_disk(path.parent)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(directory: Path, name: str, expected: str, *, verify: bool) -> None:
    if Path(name).name != name or name in {"", ".", "..", MANIFEST}:
        raise ArtifactError(directory / MANIFEST, f"names a file outside the artefact: {name!r}")
    file = directory / name
    if not file.is_file():
        raise ArtifactError(file, "missing")
    if file.is_symlink():
        raise ArtifactError(file, "is a symbolic link")
    if verify and sha256_file(file) != expected:
        raise ArtifactError(file, "changed or damaged: its SHA-256 is not the manifest's")


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
