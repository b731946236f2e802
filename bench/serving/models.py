"""Classifiers of many organisations on the packaged base: heads and LoRA adapters drawn by chance. What they answer
means nothing; that each answers as itself does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from ml_core.registry import Artifact
from ml_core.registry.artifact import WEIGHTS, write_artifact
from ml_core.training import TrainConfig, train

LABELS = ("negative", "neutral", "positive")
_SPREAD = 0.03


def write_classifiers(root: Path, method: str, count: int) -> list[str]:
    """``count`` artefacts of ``method`` ("head" or "lora") below ``root``; their names. Each holds only what such a
    training makes: a head, and for LoRA an adapter of its own."""
    rows = root / "rows.jsonl"
    rows.write_text(
        "".join(json.dumps({"text": word, "label": word}) + "\n" for word in LABELS * 4)
    )
    first = train(
        TrainConfig(
            train=rows,
            validation=rows,
            out=root / f"{method}-start",
            base="packaged",
            method=method,
            epochs=0,
            device="cpu",
        )
    )
    names = [f"{method}-{number}" for number in range(count)]
    for seed, name in enumerate(names):
        draw(first, root / name, seed)
    return names


def draw(start: Artifact, path: Path, seed: int) -> Artifact:
    """Another artefact like ``start`` with other weights."""
    from safetensors.numpy import load_file, save_file

    rng = np.random.default_rng(seed)

    def write(directory: Path) -> None:
        for name in start.manifest.files:
            shutil.copy(start.path / name, directory / name)
        drawn = {
            name: tensor + rng.normal(0, _SPREAD, tensor.shape).astype(tensor.dtype)
            for name, tensor in load_file(directory / WEIGHTS).items()
        }
        save_file(drawn, directory / WEIGHTS, metadata={"format": "pt"})

    return write_artifact(path, start.manifest, write)
