"""Find the base of an adapter-only artefact again, and be sure that it is the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ml_core.models.bases import SHIPPED, BaseModelError, quiet_transformers, resolve_base
from ml_core.registry.artifact import WEIGHTS, Artifact, sha256_file

BASES_VARIABLE = "ROOTSTOCK_BASES"


def base_directory(name: str | Path) -> Path:
    """The directory that holds the files of a base as `resolve_base` takes it; of a hub name, the local cache's.

    Raises BaseModelError when it is not on this machine.
    """
    source = resolve_base(name)
    if isinstance(source, Path):
        return source
    from transformers.utils.hub import cached_file

    quiet_transformers()
    try:
        found = cached_file(source, "config.json", local_files_only=True)
        if found is not None:
            return Path(found).parent
        found = cached_file(source, "config.json")
    except OSError as error:
        raise BaseModelError(f"{name}: not on this machine and not to be had: {error}") from error
    if found is None:
        raise BaseModelError(f"{name}: not on this machine and not to be had")
    return Path(found).parent


def base_digest(directory: Path) -> str:
    """SHA-256 of a model directory's weights: of ``model.safetensors``, or of the hashes of the parts that its index
    names. Raises BaseModelError when there are none."""
    files = _weight_files(directory)
    state = tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)
    return _digest(state)


@lru_cache(maxsize=64)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    hashes = [sha256_file(Path(name)) for name, _, _ in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _weight_files(directory: Path) -> list[Path]:
    single = directory / WEIGHTS
    if single.is_file():
        return [single]
    index = directory / f"{WEIGHTS}.index.json"
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        raise BaseModelError(f"{directory}: there is no {WEIGHTS}") from None
    return [directory / name for name in sorted(names)]


def find_base(artifact: Artifact) -> Path:
    """The directory of the base that ``artifact`` was trained from, with just the weights that it had then.

    Looked for: a model of the installation or the model hub's cache by name; a directory of the base's name beside the
    artefact or below a directory of the environment variable ROOTSTOCK_BASES (several are parted as in PATH); the place
    where it was, relative to the artefact, when it was trained.

    Raises BaseModelError saying where it was looked for, or that the base found has other weights.
    """
    manifest = artifact.manifest
    tried: list[str] = []
    for candidate in _candidates(artifact):
        try:
            directory = base_directory(candidate)
            digest = base_digest(directory)
        except (BaseModelError, OSError):
            tried.append(str(candidate))
            continue
        if digest == manifest.base_digest:
            return directory
        tried.append(f"{directory} (other weights: SHA-256 {digest[:16]}…)")
    raise BaseModelError(
        f"the base {manifest.base!r} with SHA-256 {(manifest.base_digest or '')[:16]}… is needed with it, and was not "
        f"found; looked at: {', '.join(tried)}. Put the base's directory beside the artefact, or name the directory "
        f"that holds it in {BASES_VARIABLE}"
    )


def _candidates(artifact: Artifact) -> Iterator[str | Path]:
    name = artifact.manifest.base
    record: Any = artifact.manifest.options.get("efficient")
    recorded = record.get("base_path") if isinstance(record, dict) else None
    if name in SHIPPED:
        yield name
        return
    if recorded is None:
        yield name  # a hub name
    plain = Path(name).name
    yield artifact.path.resolve().parent / plain
    for folder in os.environ.get(BASES_VARIABLE, "").split(os.pathsep):
        if folder:
            yield Path(folder) / plain
            yield Path(folder) / name
    if isinstance(recorded, str):
        yield artifact.path.resolve() / recorded


def load_base_weights(model: Any, directory: Path) -> None:
    """Give a transformers model (or a `ResNet` of ours), built from its configuration alone, the weights in
    ``directory``.

    Raises BaseModelError when they cannot be read or do not fit.
    """
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    quiet_transformers()
    try:
        if not isinstance(model, PreTrainedModel):
            model.load_directory(directory)
            return
        loaded = type(model).from_pretrained(
            directory,
            config=model.config,
            use_safetensors=True,
            dtype="float32",
        )
        own = model.state_dict()
        given = {name: each for name, each in loaded.state_dict().items() if name in own}
        model.load_state_dict(given)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise BaseModelError(f"the base in {directory} cannot be used: {reason}") from error
