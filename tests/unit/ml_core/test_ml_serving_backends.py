"""Which backend an engine takes, and that all say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving_models import TEXTS, running, write_models

from ml_core.serving import measured
from ml_core.serving.backends import KINDS, EncoderSource
from ml_core.serving.measured import open_backend
from ml_core.serving.protocol import PredictRequest, read_vectors


@pytest.fixture(scope="module")
def root(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("root"), tiny_base)


@pytest.mark.parametrize("backend", KINDS)
async def test_every_backend_serves_every_head(root: Path, tmp_path: Path, backend: str) -> None:
    """int8 is near, the others are equal."""
    names = ["head-0", "head-1", "lora-0", "lora-1", "embedder", "tagger"]
    asked = [PredictRequest(name, TEXTS[:10]) for name in names]
    async with running(root, backend="torch") as engine:
        expected = await engine.predict(asked)
    async with running(root, backend=backend, exports=tmp_path) as engine:
        found = await engine.predict(asked)
        said = {Path(each.model).name: each.backend for each in engine.health().models}
    assert said["head-0"] == backend
    near = 0.15 if backend == "onnx-int8" else 1e-4
    for name, result, wanted in zip(names, found, expected, strict=True):
        if name == "embedder":
            cosine = (read_vectors(result.outputs) * read_vectors(wanted.outputs)).sum(1)
            assert cosine.min() > 0.95
        elif name == "tagger":
            assert len(result.outputs) == len(wanted.outputs)
        else:
            for output, other in zip(result.outputs, wanted.outputs, strict=True):
                np.testing.assert_allclose(
                    list(output["probabilities"].values()),
                    list(other["probabilities"].values()),
                    atol=near,
                    err_msg=name,
                )


async def test_the_choice_is_measured_once_and_shown(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"backend": "auto", "exports": tmp_path}
    async with running(root, **options) as engine:
        await engine.predict([PredictRequest("head-0", TEXTS[:3])])
        [first] = engine.health().backbones
    assert first.calibration is not None
    assert first.backend == first.calibration["chosen"]
    assert {each["kind"] for each in first.calibration["measured"]} == set(KINDS)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(measured, "ProcessPoolExecutor", never)
    async with running(root, **options) as engine:
        await engine.predict([PredictRequest("head-1", TEXTS[:3])])
        [again] = engine.health().backbones
    assert again.calibration == first.calibration


def test_where_nothing_can_be_measured_torch_computes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no process can be started")

    monkeypatch.setattr(measured, "ProcessPoolExecutor", broken)
    source = EncoderSource(root / "base", "a" * 64)
    backend, calibration = open_backend(
        source, kind="auto", device="cpu", threads=1, exports=tmp_path
    )
    assert (backend.name, calibration) == ("torch", None)
