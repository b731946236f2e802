"""Write the weights of any model and read them back, whole or only those that were trained.

How a task uses it: its ``save`` calls ``save_weights(model, directory / WEIGHTS)``; its loader builds the model from
the artefact's configuration, calls ``load_weights(model, artifact)``, and has it as it was saved. A model of ours has
its transformers model as ``encoder`` (with ``encoder_prefix`` "bert" these tensors are written as ``bert.…``, so that
``AutoModel.from_pretrained`` reads them too); a transformers model may be given itself. Which of both forms a file
has, and the base that the rest comes from, are in the manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml_core.models.bases import BaseModelError
from ml_core.models.efficient.attachment import (
    attach,
    attachment_of,
    inner_model,
    merge,
    read,
    written,
)
from ml_core.models.found_bases import find_base, load_base_weights
from ml_core.registry.artifact import WEIGHTS, Artifact, ArtifactError

_ENCODER = "encoder."


def save_weights(model: nn.Module, path: Path, *, encoder_prefix: str = "") -> None:
    """Write ``model``'s tensors as safetensors: all of them, or, when a parameter-efficient method trained it on a
    base that can be had again, only the trained ones."""
    tensors = model.state_dict()
    attachment = attachment_of(model)
    if attachment is not None and attachment.adapter_only:
        trained = _trained_names(model)
        tensors = {name: tensor for name, tensor in tensors.items() if name in trained}
    tensors = written(tensors, attachment)
    kept: dict[str, Tensor] = {}
    seen: set[tuple[int, torch.Size]] = set()
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tensor.shape)
        if place in seen and tensor.numel():
            continue  # tied to one that is written already
        seen.add(place)
        kept[_outside(name, encoder_prefix)] = tensor.detach().cpu().contiguous()
    save_file(kept, path, metadata={"format": "pt"})


def load_weights(model: Any, artifact: Artifact, *, encoder_prefix: str = "") -> None:
    """Give a freshly built ``model`` the weights of ``artifact``: the base's where the artefact holds only what was
    trained, then its own, with the method's parts attached; what LoRA and AdaLoRA learned is added to the base's
    matrices, so that it costs no time.

    Raises ArtifactError naming the file: weights that are not finite, do not fit the model, or whose base is not to
    be had or has changed.
    """
    path = artifact.path / WEIGHTS
    manifest = artifact.manifest
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(path, f"cannot be read: {error}") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ArtifactError(path, f"weight {name!r} is not finite (NaN or infinity)")
    state = {_inside(name, encoder_prefix): tensor for name, tensor in tensors.items()}
    if manifest.adapter_only:
        try:
            base = find_base(artifact)
            load_base_weights(inner_model(model), base)
        except BaseModelError as error:
            raise ArtifactError(path, f"holds only what was trained: {error}") from error
    record = manifest.options.get("efficient")
    if isinstance(record, dict) and not record.get("merged"):
        try:
            attach(model, inner_model(model), record)
            state = read(state, record)
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(artifact.path, f"its adapter cannot be rebuilt: {error}") from error
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ArtifactError(path, f"does not fit the configuration: {error}") from error
    needed = set(missing) & (_trained_names(model) if manifest.adapter_only else set(missing))
    filled = {tensor.data_ptr() for name, tensor in model.state_dict().items() if name in state}
    lacking = sorted(n for n in needed if model.state_dict()[n].data_ptr() not in filled)
    if lacking or unexpected:
        problem = f"lacks {lacking[0]!r}" if lacking else f"has {unexpected[0]!r}"
        raise ArtifactError(path, f"does not fit the configuration: {problem}")
    merge(model)


def _trained_names(model: nn.Module) -> set[str]:
    """Names of what training changes: trainable parameters, and the running figures of batch norms."""
    names = {name for name, each in model.named_parameters() if each.requires_grad}
    for prefix, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            names |= {f"{prefix}.{name}" for name, _ in module.named_buffers(recurse=False)}
    return names


def _outside(name: str, prefix: str) -> str:
    if prefix and name.startswith(_ENCODER):
        return f"{prefix}.{name.removeprefix(_ENCODER)}"
    return name


def _inside(name: str, prefix: str) -> str:
    if prefix and name.startswith(f"{prefix}."):
        return _ENCODER + name.removeprefix(f"{prefix}.")
    return name
