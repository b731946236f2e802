"""The backend of a host is measured once, remembered, and measured again where the host is another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from backend_helpers import as_source, small_encoder

from ml_core.__main__ import main
from ml_core.serving.backends import (
    KINDS,
    ONNX,
    ONNX_INT8,
    TORCH,
    BackendError,
    EncoderSource,
    load_backend,
)
from ml_core.serving.backends import calibrate as calibrating
from ml_core.serving.backends.calibrate import RECORD, Calibration, calibrate, choose, recorded
from ml_core.serving.backends.export import export_directory


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> EncoderSource:
    return as_source(small_encoder("bert"), tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def cache(source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a calibration in it."""
    path = tmp_path_factory.mktemp("cache")
    recorded(source, device="cpu", cache=path)
    return path


def _read(source: EncoderSource, cache: Path) -> Calibration:
    found = Calibration.read(export_directory(source, cache) / RECORD)
    assert found is not None
    return found


def test_every_backend_is_measured_and_the_fastest_true_one_chosen(source, cache):
    found = _read(source, cache)
    assert [each.kind for each in found.measured] == list(KINDS)
    assert all(each.usable and each.texts_per_second > 0 for each in found.measured)
    fastest = max(found.measured, key=lambda each: each.texts_per_second)
    assert found.chosen == fastest.kind
    assert "fastest of 3" in found.why
    assert found.host["cores"] >= 1
    assert "onnxruntime" in found.host["versions"]


def test_auto_loads_what_was_chosen_without_measuring_again(source, cache, monkeypatch):
    monkeypatch.setattr(calibrating, "calibrate", lambda *_, **__: pytest.fail("measured again"))
    backend = load_backend(source, kind="auto", device="cpu", cache=cache)
    assert backend.name == _read(source, cache).chosen


@pytest.mark.parametrize("change", ["flags", "versions", "threads", "record"])
def test_another_host_is_measured_anew(source, cache, monkeypatch, change):
    path = export_directory(source, cache) / RECORD
    kept = path.read_text(encoding="utf-8")
    values = json.loads(kept)
    if change == "flags":
        values["host"]["flags"] = ["sse2"]
    elif change == "versions":
        values["host"]["versions"]["onnxruntime"] = "1.0"
    elif change == "threads":
        values["threads"] = 64
    path.write_text("{" if change == "record" else json.dumps(values), encoding="utf-8")
    asked = []

    def measured(source, **options):
        asked.append(options)
        return Calibration(TORCH, "test", (), "cpu", 1, calibrating.fingerprint())

    monkeypatch.setattr(calibrating, "calibrate", measured)
    assert choose(source, device="cpu", cache=cache) == TORCH
    assert choose(source, device="cpu", cache=cache) == TORCH
    assert len(asked) == 1
    path.write_text(kept, encoding="utf-8")


def test_a_fast_backend_with_other_vectors_is_not_chosen(source, monkeypatch):
    class Fake:
        hidden, token_budget, memory_bytes = 4, 64, 1

        def __init__(self, kind):
            self.kind = kind

        def pooled(self, batch):
            found = np.ones((len(batch.token_ids), 4), np.float32)
            if self.kind == ONNX_INT8:
                found[:, 0] = -1
            return found

        def close(self):
            pass

    def load(source, *, kind, **_):
        if kind == ONNX:
            raise BackendError("cannot be exported")
        return Fake(kind)

    monkeypatch.setattr("ml_core.serving.backends.load_backend", load)
    found = calibrate(source, device="cpu")
    by_kind = {each.kind: each for each in found.measured}
    assert found.chosen == TORCH
    assert by_kind[ONNX].problem == "cannot be exported"
    assert by_kind[ONNX_INT8].cosine == pytest.approx(0.5)
    assert not by_kind[ONNX_INT8].usable


def test_a_gpu_is_torch_and_nothing_is_measured(source, monkeypatch):
    monkeypatch.setattr(calibrating, "gpus", lambda: ["nvidia0"])
    found = calibrate(source, device="auto")
    assert (found.chosen, found.measured) == (TORCH, ())


def test_the_command_prints_a_table_and_keeps_the_record(artifact, tmp_path, capsys):
    code = main(
        [
            "calibrate",
            str(artifact.path),
            "--device",
            "cpu",
            "--threads",
            "1",
            "--cache",
            str(tmp_path),
        ]
    )
    printed = capsys.readouterr()
    assert code == 0
    values = json.loads(printed.out.splitlines()[-1])
    assert values["chosen"] in KINDS
    assert all(kind in printed.err for kind in KINDS)
    assert [path.name for path in tmp_path.glob(f"*/{RECORD}")] == [RECORD]


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["calibrate", str(tmp_path / "nothing")]) == 2
    assert "nothing" in capsys.readouterr().err
