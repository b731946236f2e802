"""Weights of a model as plain tensors: kept aside, put back, written and read."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml_core.training.distributed import copy_into, whole


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


def failed_write(error: Exception) -> str | None:
    """Why a file could not be written, when that is what ``error`` tells: safetensors and torch have their own ways
    to say that the disk is full. None for any other error."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = str(error)
    if isinstance(error, SafetensorError):
        return text.rpartition("I/O error: ")[2] if "I/O error" in text else None
    of_torch = "PytorchStreamWriter" in text or "inline_container" in text
    return "the disk is full, or the file too large" if of_torch else None
