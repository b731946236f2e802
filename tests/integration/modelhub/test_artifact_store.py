"""Artefacts in a store: uploaded when a version is registered, fetched where they are needed, never half."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from modelhub_helpers import ACTOR

from ml_core.registry import Artifact
from rootstock.modelhub import inference, services, storage
from rootstock.modelhub.errors import ModelhubError, PromotionRefused
from rootstock.modelhub.models import ModelVersion
from rootstock.modelhub.system_checks import artifact_store_check
from rootstock.tenancy.models import Organisation

NAME = "finance.sentiment"
pytestmark = pytest.mark.usefixtures("loaded")


@pytest.fixture(params=["memory", "file"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Iterator[str]:
    """The address of an empty store."""
    address = f"memory://kept-{uuid.uuid4().hex}/models"
    if request.param == "file":
        address = f"file://{tmp_path}/kept/"
    settings.ARTIFACT_STORE = address
    yield address.rstrip("/")
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()


@pytest.fixture
def version(
    kept: str, scope: Organisation, artifacts: Path, place_artifact: Callable[[], str]
) -> ModelVersion:
    return services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)


def forget(artifacts: Path, version: ModelVersion) -> Path:
    """Another machine: the same rows, an empty disk."""
    directory = artifacts / version.artifact_path
    shutil.rmtree(directory)
    return directory


def test_a_version_is_uploaded_and_fetched_where_it_is_needed(
    version: ModelVersion, artifacts: Path, loaded: list[str]
) -> None:
    directory = forget(artifacts, version)
    services.version_promote(version=version, actor=ACTOR)
    assert Artifact.open(directory).digest == version.digest
    assert loaded == [str(directory)]
    assert [each.name for each in directory.parent.iterdir()] == [directory.name], "nothing is left"
    forget(artifacts, version)
    assert inference.classify_texts({NAME: ["a"]})[NAME].predictions
    assert directory.is_dir()


def test_registering_again_uploads_nothing(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, _root = storage.store()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("uploaded again")

    monkeypatch.setattr(type(system), "put_file", refuse)
    storage.artifact_publish(version.artifact_path)


def test_what_is_damaged_in_the_store_never_reaches_the_disk(
    version: ModelVersion, artifacts: Path
) -> None:
    directory = forget(artifacts, version)
    system, root = storage.store()
    system.pipe_file(f"{root}/{version.artifact_path}/model.safetensors", b"rot")
    with pytest.raises(
        PromotionRefused, match=r"damaged in the artefact store: model\.safetensors"
    ):
        services.version_promote(version=version, actor=ACTOR)
    assert not directory.exists()
    assert list(directory.parent.iterdir()) == []


def test_another_artefact_in_its_place_is_noticed(version: ModelVersion, artifacts: Path) -> None:
    forget(artifacts, version)
    with pytest.raises(storage.StorageProblem, match="not what was registered"):
        storage.local_artifact(version.artifact_path, "0" * 64)


def test_half_an_upload_is_not_taken_for_a_whole_one(
    version: ModelVersion, artifacts: Path
) -> None:
    forget(artifacts, version)
    system, root = storage.store()
    system.rm_file(f"{root}/{version.artifact_path}/manifest.json")
    with pytest.raises(storage.StorageProblem, match="neither on this machine nor in"):
        storage.local_artifact(version.artifact_path, version.digest)


def test_several_fetch_at_once(version: ModelVersion, artifacts: Path, settings: Any) -> None:
    if settings.ARTIFACT_STORE.startswith("memory:"):
        pytest.skip("fsspec's memory store shares one reading place between threads")
    directory = forget(artifacts, version)
    found: list[Path] = []

    def fetch() -> None:
        found.append(storage.local_artifact(version.artifact_path, version.digest))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [directory] * 4
    assert [each.name for each in directory.parent.iterdir()] == [directory.name]


def test_a_store_that_cannot_be_used_says_what_is_missing(
    scope: Organisation,
    artifacts: Path,
    place_artifact: Callable[[], str],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.ARTIFACT_STORE = "s3://bucket/models"

    def missing(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    (error,) = artifact_store_check()
    assert "pip install s3fs" in str(error.msg)
    with pytest.raises(ModelhubError, match="pip install s3fs"):
        services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)
    assert not ModelVersion.objects.exists()


def test_a_store_that_does_not_answer_is_tried_again_later(
    version: ModelVersion, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.version_promote(version=version, actor=ACTOR)
    forget(artifacts, version)
    system, _root = storage.store()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("denied")

    monkeypatch.setattr(type(system), "exists", refuse)
    with pytest.raises(inference.InferenceUnavailable, match="PermissionError: denied"):
        inference.classify_texts({NAME: ["a"]})


def test_without_a_store_nothing_is_fetched(
    scope: Organisation, artifacts: Path, place_artifact: Callable[[], str]
) -> None:
    version = services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)
    forget(artifacts, version)
    with pytest.raises(PromotionRefused, match="no such directory"):
        services.version_promote(version=version, actor=ACTOR)
