"""A base model gets to where the inference process may read it, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_core.models import BaseModelError
from rootstock.modelhub.bases import base_placed


@pytest.fixture(autouse=True)
def forget() -> None:
    base_placed.cache_clear()


def write(directory: Path, weights: bytes = b"weights") -> Path:
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "tokenizer.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(weights)
    (directory / "pytorch_model.bin").write_bytes(b"pickled")
    return directory


def test_those_of_the_installation_stay_where_they_are(artifacts: Path) -> None:
    assert base_placed("packaged") == "base:packaged"
    assert list(artifacts.iterdir()) == []


def test_a_directory_is_copied_once_without_what_could_run_code(
    artifacts: Path, tmp_path: Path
) -> None:
    ours = write(tmp_path / "ours")
    name = base_placed(str(ours))
    placed = artifacts / name.removeprefix("base:")
    files = sorted(file.name for file in placed.iterdir())
    assert files == ["config.json", "model.safetensors", "tokenizer.json"]
    base_placed.cache_clear()
    assert base_placed(str(ours)) == name
    assert base_placed(str(write(tmp_path / "copy"))) == name, "the same weights"
    other = base_placed(str(write(tmp_path / "other", b"other weights")))
    assert other != name
    assert len(list((artifacts / "bases").iterdir())) == 2


def test_what_is_no_model_is_named(artifacts: Path, tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="no such model directory"):
        base_placed(str(tmp_path / "nowhere"))
