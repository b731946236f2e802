"""Artefacts of every kind that an inference process serves, with random weights on one base: nothing is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import torch
from ml_core_helpers import WORDS, make_rows

from ml_core.models.bases import load_encoder
from ml_core.models.bio import bio_labels
from ml_core.models.classifier import TextClassifier, save_text_model
from ml_core.models.efficient.attachment import Attachment, attach, note
from ml_core.models.embedding import TextEmbedder
from ml_core.models.found_bases import base_digest
from ml_core.models.reranking import CrossEncoder
from ml_core.models.tagger import TokenTagger
from ml_core.registry import Artifact
from ml_core.registry.artifact import Manifest, sha256_file, write_artifact
from ml_core.serving.engine import Engine
from ml_core.training import TrainConfig
from ml_core.training.methods.efficient import Efficient

TEXTS = [text for text, _ in make_rows(80, seed=9)]
LABELS = tuple(sorted(WORDS))
_MODELS: dict[str, Callable[[Any, int], Any]] = {
    "text-classification": TextClassifier,
    "multi-label-classification": TextClassifier,
    "token-classification": TokenTagger,
    "text-embedding": lambda encoder, _: TextEmbedder(encoder),
    "reranking": lambda encoder, _: CrossEncoder(encoder),
}


def write_model(
    path: Path,
    base: Path,
    *,
    task: str = "text-classification",
    method: str = "full",
    seed: int = 0,
    labels: tuple[str, ...] = LABELS,
    **manifest: Any,
) -> Artifact:
    """An artefact of ``task``; with another ``method`` than "full" it holds only what that would have trained on
    ``base``, which must be a directory beside it. All that is trained is drawn with ``seed``."""
    torch.manual_seed(seed)
    encoder, tokenizer = load_encoder(base)
    # As `ml_core.tasks.text` leaves it.
    encoder.config.pad_token_id = tokenizer.pad_token_id
    labels = bio_labels(["ORG", "PER"]) if task == "token-classification" else labels
    model = _MODELS[task](encoder, len(labels))
    options: dict[str, Any] = {}
    if method != "full":
        values = TrainConfig(train=Path("t"), out=Path("o"), method=method)
        record = Efficient(values)._record(values)
        attach(model, encoder, record)
        digest = base_digest(base)
        note(model, Attachment(method, record, True, digest))
        options = {"efficient": record | {"base_path": f"../{base.name}"}}
        manifest |= {"method": method, "adapter_only": True, "base_digest": digest}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)

    def write(directory: Path) -> None:
        save_text_model(model, directory)
        tokenizer.save_pretrained(directory)
        (directory / "README.md").write_text(f"# {path.name}")

    given = {"options": options} | manifest
    given["options"] = options | given["options"]
    return write_artifact(
        path,
        Manifest(
            task=task, base=base.name, labels=labels, max_length=64, languages=("en",), **given
        ),
        write,
    )


def write_models(root: Path, tiny_base: Path) -> Path:
    """The base "base", and below ``root``: "one", "two" (whole classifiers), "head-0" … "head-2" and "lora-0" …
    "lora-2" (classifiers on the base), "prefix" (another that no encoder head can serve), "several", "embedder",
    "tagger", "reranker"."""
    base = Path(shutil.copytree(tiny_base, root / "base"))
    write_model(root / "one", base, seed=1)
    write_model(root / "two", base, seed=2)
    for number in range(3):
        write_model(root / f"head-{number}", base, method="head", seed=10 + number)
        write_model(root / f"lora-{number}", base, method="lora", seed=20 + number)
    write_model(root / "prefix", base, method="prefix", seed=30)
    write_model(
        root / "several",
        base,
        task="multi-label-classification",
        method="head",
        seed=4,
        calibration={"thresholds": [0.5, 0.5, 0.5]},
    )
    for name, task in (
        ("embedder", "text-embedding"),
        ("tagger", "token-classification"),
        ("reranker", "reranking"),
    ):
        write_model(root / name, base, task=task, seed=5, calibration={})
    return root


def change_card(path: Path) -> str:
    """Make another artefact of one by its card alone; its new digest."""
    (path / "README.md").write_text((path / "README.md").read_text() + "\nchanged")
    rehash(path, "README.md")
    return Artifact.open(path).digest


def rehash(path: Path, name: str) -> None:
    """Let the manifest believe what is in the file now."""
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"][name] = sha256_file(path / name)
    (path / "manifest.json").write_text(json.dumps(manifest))


@asynccontextmanager
async def running(root: Path, **options: Any) -> AsyncIterator[Engine]:
    """An engine on the models below ``root``."""
    given = {"threads": 1, "device": "cpu", "backend": "torch"} | options
    engine = Engine(allowed_root=root, **given)
    engine.start()
    try:
        yield engine
    finally:
        await engine.close()
