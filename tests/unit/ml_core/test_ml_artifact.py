"""An artefact is there whole or not at all, and nothing in it changes unnoticed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ml_core_helpers import rewrite_manifest

from ml_core.models import Predictor
from ml_core.registry import Artifact, ArtifactError
from ml_core.registry.artifact import sha256_file, write_artifact


def test_what_is_in_it(artifact: Artifact) -> None:
    opened = Artifact.open(artifact.path)
    names = set(opened.manifest.files)
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= names
    assert {file.name for file in artifact.path.iterdir()} == names | {"manifest.json"}
    assert opened.manifest.labels == ("negative", "neutral", "positive")
    assert opened.manifest.languages == ("en",)
    assert opened.manifest.task == "text-classification"
    assert opened.card.startswith("# Model card")
    assert opened.digest == artifact.digest
    assert opened.size_bytes == sum((artifact.path / name).stat().st_size for name in names)
    assert str(artifact.path.parent) not in (artifact.path / "manifest.json").read_text()


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "README.md"]
)
def test_a_changed_file_is_named(artifact_copy: Path, name: str) -> None:
    file = artifact_copy / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"changed or damaged") as caught:
        Artifact.open(artifact_copy)
    assert caught.value.path == file
    assert Artifact.open(artifact_copy, verify=False).manifest.labels


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "manifest.json"])
def test_a_missing_file_is_named(artifact_copy: Path, name: str) -> None:
    (artifact_copy / name).unlink()
    with pytest.raises(ArtifactError, match="missing") as caught:
        Artifact.open(artifact_copy, verify=False)
    assert caught.value.path == artifact_copy / name


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format_version": 99}, "unknown format version 99"),
        ({"drop": "labels"}, "'labels' is missing"),
        ({"labels": [1, 2]}, "not text"),
        ({"max_length": "64"}, "'max_length' has a value of the wrong kind"),
        ({"files": {}}, "no hash for model.safetensors"),
    ],
)
def test_a_broken_manifest_is_explained(
    artifact_copy: Path, changes: dict[str, object], problem: str
) -> None:
    rewrite_manifest(artifact_copy, **changes)
    with pytest.raises(ArtifactError, match=problem):
        Artifact.open(artifact_copy)


@pytest.mark.parametrize("content", ["", "[]", "{", "\ufeff{}", "[" * 100_000])
def test_a_manifest_that_is_no_json_object(artifact_copy: Path, content: str) -> None:
    (artifact_copy / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        Artifact.open(artifact_copy)


def test_a_manifest_cannot_reach_outside(artifact_copy: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    files = json.loads((artifact_copy / "manifest.json").read_text())["files"]
    rewrite_manifest(artifact_copy, files=files | {"../secret": sha256_file(secret)})
    with pytest.raises(ArtifactError, match="outside the artefact"):
        Artifact.open(artifact_copy)
    rewrite_manifest(artifact_copy, files=files)
    (artifact_copy / "README.md").unlink()
    (artifact_copy / "README.md").symlink_to(secret)
    with pytest.raises(ArtifactError, match="symbolic link"):
        Artifact.open(artifact_copy)


def reseal(path: Path) -> None:
    """Make the manifest vouch for the files as they are now."""
    files = json.loads((path / "manifest.json").read_text())["files"]
    rewrite_manifest(path, files={name: sha256_file(path / name) for name in files})


def test_weights_that_are_not_finite_are_refused(artifact_copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = artifact_copy / "model.safetensors"
    tensors = load_file(file)
    tensors["classifier.weight"][0, 0] = float("nan")
    save_file(tensors, file)
    reseal(artifact_copy)
    with pytest.raises(ArtifactError, match=r"classifier\.weight.*not finite") as caught:
        Predictor.load(artifact_copy)
    assert caught.value.path == file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"not safetensors"),
        ("config.json", b'{"model_type": "no-such-model"}'),
        ("config.json", b"{"),
        ("tokenizer.json", b"{}"),
    ],
)
def test_nonsense_that_the_manifest_vouches_for(
    artifact_copy: Path, name: str, content: bytes
) -> None:
    (artifact_copy / name).write_bytes(content)
    reseal(artifact_copy)
    with pytest.raises(ArtifactError) as caught:
        Predictor.load(artifact_copy)
    assert caught.value.path == artifact_copy / name


def test_weights_of_another_model_do_not_fit(artifact_copy: Path) -> None:
    rewrite_manifest(artifact_copy, labels=["a", "b"])
    with pytest.raises(ArtifactError, match="does not fit the configuration"):
        Predictor.load(artifact_copy)


def test_a_failed_write_leaves_nothing(artifact: Artifact, tmp_path: Path) -> None:
    def half(directory: Path) -> None:
        (directory / "model.safetensors").write_bytes(b"half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_artifact(tmp_path / "new", artifact.manifest, half)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_place_is_not_overwritten_unasked(artifact: Artifact, tmp_path: Path) -> None:
    def copy(directory: Path) -> None:
        for name in artifact.manifest.files:
            shutil.copy(artifact.path / name, directory)

    out = tmp_path / "model"
    out.mkdir()
    first = write_artifact(out, artifact.manifest, copy)
    with pytest.raises(ArtifactError, match="already holds an artefact"):
        write_artifact(out, artifact.manifest, copy)
    changed = replace(artifact.manifest, languages=("en", "zh"))
    second = write_artifact(out, changed, copy, overwrite=True)
    assert first.digest == second.digest == artifact.digest
    assert Artifact.open(out).manifest.languages == ("en", "zh")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(ArtifactError, match="other files"):
        write_artifact(other, artifact.manifest, copy, overwrite=True)
    assert (other / "cat.jpg").read_bytes() == b"meow"


def test_the_same_files_have_the_same_digest(artifact: Artifact, artifact_copy: Path) -> None:
    assert Artifact.open(artifact_copy).digest == artifact.digest
    (artifact_copy / "README.md").write_text("another card")
    reseal(artifact_copy)
    assert Artifact.open(artifact_copy).digest != artifact.digest
    before = Predictor.load(artifact).probabilities(["the bank falls"])
    assert np.array_equal(Predictor.load(artifact_copy).probabilities(["the bank falls"]), before)
