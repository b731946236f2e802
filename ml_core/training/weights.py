"""Weights of a model as plain tensors: kept aside, put back, written and read."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml_core.training.distributed import copy_into, whole

# What reading never fails with.
_OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def changing_weights(model: nn.Module) -> dict[str, Tensor]:
    """Copies on the CPU of everything that training changes: trainable parameters and buffers (a batch norm's running
    figures). A tensor shared under several names is there once."""
    seen: set[int] = set()
    kept: dict[str, Tensor] = {}
    trainable = ((name, each) for name, each in model.named_parameters() if each.requires_grad)
    for name, tensor in [*trainable, *model.named_buffers()]:
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        kept[name] = whole(tensor.detach()).to("cpu", copy=True).contiguous()
    return kept


def put_back(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give the model the weights that `changing_weights` kept."""
    places = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, tensor in weights.items():
        copy_into(places[name], tensor)


def write_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors."""
    save_file(weights, path)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read what `write_weights` wrote."""
    return load_file(path)


def failed_write(error: Exception, targets: Sequence[Path]) -> str | None:
    """Why a file could not be written, when that is what ``error`` tells: safetensors and torch have their own ways
    to say that the disk is full. None for any other error, that of a file which cannot be read included: ``targets``
    are what is written, directories with all that is in them."""
    if isinstance(error, OSError):
        known = error.errno in _OF_WRITING or _is_one_of(error.filename, targets)
        return error.strerror or str(error) if known else None
    text = str(error)
    if isinstance(error, SafetensorError):
        return text.rpartition("I/O error: ")[2] if "I/O error" in text else None
    of_torch = "PytorchStreamWriter" in text or "inline_container" in text
    return "the disk is full, or the file too large" if of_torch else None


def failed_read(error: Exception) -> str | None:
    """Which file could not be read and why, of an error that is no `failed_write`; None for one about no file."""
    if not isinstance(error, OSError) or isinstance(error, ConnectionError):
        return None
    if error.errno is None:
        return str(error)  # a library's own words, which name what it looked for
    return f"{error.filename or 'a file'}: cannot be read: {error.strerror}"


def _is_one_of(name: Any, targets: Sequence[Path]) -> bool:
    """Whether a file or directory is a target, in one, on the way to one, or one that is not in its place yet: an
    artefact is written as ``.NAME.….partial`` beside it."""
    if not isinstance(name, str | Path):
        return False
    path = Path(name).absolute()
    for target in (each.absolute() for each in targets):
        if path.is_relative_to(target) or target.is_relative_to(path):
            return True
        beside = path.relative_to(target.parent) if path.is_relative_to(target.parent) else Path()
        if str(beside).startswith(f".{target.name}."):
            return True
    return False
