"""Artefacts of a tiny model, and an inference process that needs no second process."""

from __future__ import annotations

import csv
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from modelhub_helpers import OPTIONS, make_examples, write_tiny_base

from ml_core.models import Prediction
from ml_core.registry import Artifact
from ml_core.serving import ClassifyRequest, ClassifyResult, ModelInfo

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def tiny_artifact(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained artefact; copy it, do not change it."""
    from ml_core.training import TrainConfig, train

    directory = tmp_path_factory.mktemp("artifact")
    with (directory / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((example.text, example.label) for example in make_examples(180))
    values = {"train": directory / "train.csv", "out": directory / "out", "base": str(tiny_base)}
    return train(TrainConfig.from_mapping(values | OPTIONS)).path


@pytest.fixture
def place_artifact(artifacts: Path, tiny_artifact: Path) -> Callable[[], str]:
    """Copies the artefact to where versions are; returns the stored path."""

    def place() -> str:
        path = f"versions/{uuid.uuid4()}"
        shutil.copytree(tiny_artifact, artifacts / path)
        return path

    return place


@pytest.fixture
def var(tmp_path: Path, settings: Any) -> Path:
    """An empty directory for what is written at run time."""
    settings.VAR = tmp_path / "var"
    settings.VAR.mkdir()
    return settings.VAR


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The inference process loads everything that is whole; the list says what it was asked for."""
    asked: list[str] = []

    class Client:
        def load(self, path: Path) -> ModelInfo:
            asked.append(str(path))
            artifact = Artifact.open(path)
            manifest = artifact.manifest
            return ModelInfo(
                model=str(path),
                digest=artifact.digest,
                task=manifest.task,
                labels=manifest.labels,
                languages=manifest.languages,
                max_length=manifest.max_length,
                size_bytes=artifact.size_bytes,
            )

        def classify(self, requests: list[ClassifyRequest], **_: Any) -> list[ClassifyResult]:
            """The first label, and sure of it."""
            results = []
            for request in requests:
                artifact = Artifact.open(request.model, verify=False)
                first, *others = artifact.manifest.labels
                said = Prediction(first, {first: 1.0, **dict.fromkeys(others, 0.0)})
                predictions = (said,) * len(request.texts)
                results.append(ClassifyResult(request.model, artifact.digest, predictions))
            return results

    def client(_: float) -> Any:
        return Client()

    monkeypatch.setattr("rootstock.modelhub.inference._client", client)
    return asked
