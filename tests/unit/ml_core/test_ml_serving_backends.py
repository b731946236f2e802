"""Which backend an engine takes, and that all say the same."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving_models import TEXTS, running, write_models

from ml_core.serving import measured
from ml_core.serving.backends import KINDS
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


async def test_torch_answers_until_the_choice_is_measured(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then every model of the encoder is computed by what was chosen, and no call fails meanwhile."""
    options: dict[str, Any] = {"backend": "auto", "exports": tmp_path}
    names = ["head-0", "head-1", "lora-0"]
    asked = [PredictRequest(name, TEXTS[:3]) for name in names]
    async with running(root, **options) as engine:
        results = await engine.predict(asked)
        assert {each.backend for each in engine.health().models} == {"torch"}
        async with asyncio.timeout(240):
            while (first := engine.health().backbones[-1]).calibration is None or any(
                each.backend != first.calibration["chosen"] for each in engine.health().models
            ):
                again = await engine.predict(asked, fresh=True)
                assert [each.digest for each in again] == [each.digest for each in results]
                await asyncio.sleep(0.1)
        again = await engine.predict(asked, fresh=True)
        assert len(engine.health().backbones) == 1, "the one that answered first is gone"
    for result, other in zip(results, again, strict=True):
        for one, two in zip(result.outputs, other.outputs, strict=True):
            np.testing.assert_allclose(
                list(one["probabilities"].values()), list(two["probabilities"].values()), atol=0.15
            )
    assert {each["kind"] for each in first.calibration["measured"]} == set(KINDS)

    monkeypatch.setattr(measured, "get_context", _never)
    async with running(root, **options) as engine:
        await engine.predict([PredictRequest("head-1", TEXTS[:3])])
        [second] = engine.health().backbones
    assert second.calibration == first.calibration
    assert second.backend == first.calibration["chosen"]


def _never(*_: Any) -> None:
    raise AssertionError("measured again")


async def test_where_nothing_can_be_measured_torch_goes_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def start(self) -> None:
            raise OSError("no process can be started")

    class Context:
        def Process(self, **_: Any) -> Broken:  # noqa: N802  # multiprocessing's own name
            return Broken()

    monkeypatch.setattr(measured, "get_context", lambda _: Context())
    async with running(root, backend="auto", exports=tmp_path) as engine:
        for _ in range(3):
            await engine.predict([PredictRequest("head-0", TEXTS[:3])], fresh=True)
            await asyncio.sleep(0.05)
        [backbone] = engine.health().backbones
    assert (backbone.backend, backbone.calibration) == ("torch", None)


async def test_closing_does_not_wait_for_what_is_being_measured(root: Path, tmp_path: Path) -> None:
    async with running(root, backend="auto", exports=tmp_path) as engine:
        await engine.predict([PredictRequest("head-0", TEXTS[:3])])
        while not multiprocessing.active_children():
            await asyncio.sleep(0.01)
        [process] = multiprocessing.active_children()
    # The engine may be collecting the process at this moment: whoever asks beside it is told nothing yet.
    async with asyncio.timeout(60):
        while process.exitcode is None:
            await asyncio.sleep(0.05)
    assert process.exitcode == -signal.SIGTERM
