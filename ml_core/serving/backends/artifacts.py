"""Take a model apart for serving: the encoder that it shares with others, what LoRA changed in it, and its head.

Models whose encoder has the same weights and configuration (one base and everything that ``method: head`` or LoRA made
of it) have sources of equal `EncoderSource.digest`, so that one copy in memory serves them all. Free of torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ml_core.models.bases import BaseModelError
from ml_core.models.found_bases import base_digest, base_directory, find_base
from ml_core.registry.artifact import (
    CONFIG,
    TOKENIZER,
    WEIGHTS,
    Artifact,
    ArtifactError,
    sha256_file,
)
from ml_core.serving.backends.base import EncoderSource
from ml_core.tasks.tagged_rows import GAZETTEER

# Tasks whose model is an encoder and at most one linear layer on its states.
TASKS = (
    "text-classification",
    "multi-label-classification",
    "text-embedding",
    "token-classification",
    "span-classification",
    "reranking",
)
LOW_RANK = ("lora", "adalora")
_HEAD = "classifier."
_BASE_LENGTH = 256


@dataclass(frozen=True)
class Adapter:
    """What LoRA or AdaLoRA trained: tensors by the names of the artefact's file, and its ``options.efficient``. The
    arguments of `Backend.add_adapter`."""

    tensors: dict[str, np.ndarray]
    record: dict[str, Any]

    @property
    def memory_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True)
class ModelParts:
    """A model taken apart. ``head`` has "weight" (labels, hidden) and "bias" (labels), float32, or nothing for an
    embedder; a text is read by the tokenizer at ``tokenizer``, cut to ``max_length`` tokens."""

    source: EncoderSource
    tokenizer: Path
    max_length: int
    adapter: Adapter | None = None
    head: dict[str, np.ndarray] = field(default_factory=dict)


def split_artifact(artifact: Artifact) -> ModelParts | None:
    """The parts of an artefact; None for one that is more than an encoder and a linear layer (cloze questions, case
    features or gazetteer of a tagger, prefixes, prompts, bottleneck adapters, other tasks): its own
    `RowPredictor` must serve it.

    Raises ArtifactError for tensors that cannot be read, are not finite or not of a head's shape, and where the base
    is not to be had.
    """
    manifest = artifact.manifest
    record = manifest.options.get("efficient")
    attached = isinstance(record, dict) and not record.get("merged") and manifest.method != "head"
    if (
        manifest.task not in TASKS
        or "cloze" in manifest.options
        or manifest.options.get("case_features") is True
        or GAZETTEER in manifest.files
        or (attached and not (manifest.adapter_only and manifest.method in LOW_RANK))
    ):
        return None
    try:
        directory = find_base(artifact) if manifest.adapter_only else artifact.path
        together = "together" in manifest.options and not manifest.adapter_only
        source = _source(directory, _encoder_digest(artifact) if together else None)
    except BaseModelError as error:
        path = artifact.path / WEIGHTS
        raise ArtifactError(path, f"holds only what was trained: {error}") from error
    return ModelParts(
        source,
        artifact.path / TOKENIZER,
        manifest.max_length,
        Adapter(_read(artifact, ".lora_"), dict(record or {})) if attached else None,
        _head(artifact),
    )


def split_base(name: str | Path) -> ModelParts:
    """The parts of a base model (a name of the installation or a directory) as an embedder.

    Raises BaseModelError when it is not to be had or has no ``tokenizer.json``.
    """
    directory = base_directory(name)
    tokenizer = directory / TOKENIZER
    if not tokenizer.is_file():
        raise BaseModelError(f"{directory}: there is no {TOKENIZER}")
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        longest = config.get("max_position_embeddings", _BASE_LENGTH)
    except (OSError, ValueError, AttributeError) as error:
        raise BaseModelError(f"{directory / CONFIG}: cannot be read: {error}") from error
    if not isinstance(longest, int):
        longest = _BASE_LENGTH
    return ModelParts(_source(directory), tokenizer, min(_BASE_LENGTH, longest))


def _source(directory: Path, weights: str | None = None) -> EncoderSource:
    # Equal weights in another architecture (more attention heads, say) are another encoder.
    parts = f"{weights or base_digest(directory)}:{sha256_file(directory / CONFIG)}"
    return EncoderSource(directory, hashlib.sha256(parts.encode()).hexdigest())


def _encoder_digest(artifact: Artifact) -> str:
    """SHA-256 of the encoder's tensors alone: heads that were trained together are of one encoder, and no two of their
    files are equal. Raises ArtifactError."""
    path = artifact.path / WEIGHTS
    digest = hashlib.sha256()
    try:
        with safe_open(path, framework="np") as file:
            for name in sorted(file.keys()):
                if not name.startswith(_HEAD):
                    tensor = file.get_tensor(name)
                    digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
                    digest.update(np.ascontiguousarray(tensor).data)
    except (OSError, SafetensorError, TypeError) as error:
        raise ArtifactError(path, f"cannot be read: {error}") from error
    return digest.hexdigest()


def _head(artifact: Artifact) -> dict[str, np.ndarray]:
    task, labels = artifact.manifest.task, len(artifact.manifest.labels)
    if task == "text-embedding":
        return {}
    found = {
        name.removeprefix(_HEAD): tensor
        for name, tensor in _read(artifact, _HEAD).items()
        if name.startswith(_HEAD)
    }
    weight, bias = found.get("weight"), found.get("bias")
    # A span is judged by two means, its own and that of its text.
    outputs = 1 if task == "reranking" else labels
    if (
        weight is None
        or bias is None
        or weight.ndim != 2
        or weight.shape[0] != outputs
        or bias.shape != (outputs,)
    ):
        raise ArtifactError(artifact.path / WEIGHTS, f"has no head of {outputs} outputs")
    return {"weight": weight, "bias": bias}


def _read(artifact: Artifact, part: str) -> dict[str, np.ndarray]:
    """The tensors of the artefact with ``part`` in their names, as float32."""
    path = artifact.path / WEIGHTS
    found = {}
    try:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - the file is no mapping
                if part in name:
                    found[name] = np.asarray(file.get_tensor(name), dtype=np.float32)
    except (OSError, SafetensorError, TypeError) as error:
        raise ArtifactError(path, f"cannot be read: {error}") from error
    for name, tensor in found.items():
        if not np.isfinite(tensor).all():
            raise ArtifactError(path, f"weight {name!r} is not finite (NaN or infinity)")
    return found
