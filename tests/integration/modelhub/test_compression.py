"""A version is made smaller: the job, its version, the gate after it, the page and REST."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from modelhub_helpers import ACTOR, make_snapshot

from ml_core.registry import Artifact
from rootstock.jobs import runner
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.modelhub import services
from rootstock.modelhub.compressing import compression_start
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.family import family, size_chart
from rootstock.modelhub.models import ModelVersion
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

STEPS = ("neurons:0.5", "distil:1", "int8")


@pytest.fixture
def version(
    live_db: None, organisation: Organisation, var: Path, artifacts: Path, place_artifact: Callable[[], str]
) -> ModelVersion:  # fmt: skip
    with organisation_scope(organisation.pk):
        return services.version_register(
            name="finance.sentiment", artifact_path=place_artifact(), actor=ACTOR, snapshot=make_snapshot()
        )  # fmt: skip


def work(organisation: Organisation, job_id: Any) -> Job:
    with organisation_scope(organisation.pk):
        job = jobs.job_claim(job_id)
    assert job is not None
    runner.execute(job)
    with organisation_scope(organisation.pk):
        return Job.objects.get(pk=job_id)


@pytest.mark.slow
def test_a_smaller_version_is_registered_below_its_parent_and_goes_to_the_gate(
    version: ModelVersion, organisation: Organisation, artifacts: Path, var: Path
) -> None:
    with organisation_scope(organisation.pk):
        job = compression_start(version=version, actor=ACTOR, steps=STEPS)
        with pytest.raises(Conflict):
            compression_start(version=version, actor=ACTOR, steps=STEPS)
    done = work(organisation, job.pk)
    assert (done.state, done.error) == ("succeeded", "")
    with organisation_scope(organisation.pk):
        child = ModelVersion.objects.get(pk=done.result["version"])
        assert (child.parent_id, child.name, child.number) == (version.pk, version.name, 2)
        assert child.metrics["test"]["headline"] == "macro_f1"
        assert Job.objects.filter(kind="modelhub.gate", params__version=str(child.pk)).exists()
        members = family(version)
        assert [each.version.pk for each in members][-1] == child.pk
        small = members[-1]
        assert small.steps == list(STEPS)
        assert small.best_by_size
        assert small.megabytes < members[0].megabytes
        assert members[0].milliseconds is not None
        chart = size_chart(members)
        assert chart is not None
        assert len(chart.marks) == 2
    artifact = Artifact.open(artifacts / child.artifact_path)
    assert artifact.manifest.parent == version.digest
    assert not list((var / "training").glob("compress-*"))


@pytest.mark.slow
def test_what_the_model_does_not_allow_fails_the_job_with_the_reason(
    version: ModelVersion, organisation: Organisation
) -> None:
    with organisation_scope(organisation.pk):
        job = compression_start(version=version, actor=ACTOR, steps=("layers:9",))
    done = work(organisation, job.pk)
    assert done.state == "failed"
    assert "layers:9: the model has only 2" in done.error
    with organisation_scope(organisation.pk):
        assert ModelVersion.objects.count() == 1


def test_what_cannot_be_compressed_is_refused(
    version: ModelVersion, organisation: Organisation
) -> None:
    with organisation_scope(organisation.pk):
        with pytest.raises(ModelhubError, match="no step"):
            compression_start(version=version, actor=ACTOR, steps=("smaller",))
        with pytest.raises(ModelhubError, match="max_loss"):
            compression_start(version=version, actor=ACTOR, search=True)
        version.snapshot = None
        with pytest.raises(ModelhubError, match="snapshot"):
            compression_start(version=version, actor=ACTOR, steps=STEPS)
        assert not Job.objects.filter(kind="modelhub.compress").exists()


def test_the_page_offers_recipes_and_shows_the_family(
    version: ModelVersion, organisation: Organisation, make_user: Callable[..., Any]
) -> None:
    client = Client()
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(make_user(organisation, "owner"), backend=backend)
    address = f"/models/versions/{version.pk}/compress/"
    page = client.get(address)
    assert page.status_code == 200
    assert "vocabulary, fp16, int8" in page.content.decode()
    refused = client.post(address, {"recipe": "own", "steps": "smaller"})
    assert refused.status_code == 422
    assert "is no step" in refused.content.decode()
    assert client.post(address, {"recipe": "search"}).status_code == 422
    started = client.post(address, {"recipe": "half", "max_loss": "1"}, follow=True)
    assert "gate-progress" in started.content.decode()
    with organisation_scope(organisation.pk):
        job = Job.objects.get(kind="modelhub.compress")
    assert job.params["max_loss"] == 0.01
    assert "distil:5" in job.params["steps"]
    reader = Client()
    reader.force_login(make_user(organisation, "viewer", "v@example.org"), backend=backend)
    assert reader.post(address, {"recipe": "int8"}).status_code == 403


def test_rest_starts_it_once_and_lists_the_family(
    version: ModelVersion, organisation: Organisation, make_key: Callable[..., str]
) -> None:
    client = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})
    address = f"/api/v1/models/versions/{version.pk}"
    bad = client.post(
        f"{address}/compress", {"steps": ["nothing"]}, content_type="application/json"
    )
    assert bad.status_code == 422
    body = {"steps": ["neurons:0.5", "int8"]}
    first = client.post(f"{address}/compress", body, content_type="application/json")
    assert (first.status_code, first.json()["kind"]) == (202, "modelhub.compress")
    again = client.post(f"{address}/compress", body, content_type="application/json")
    assert again.status_code == 409
    (member,) = client.get(f"{address}/family").json()
    assert (member["label"], member["steps"], member["best_by_size"]) == (version.label, [], True)
