"""What workers do beside training: a search, a comparison on the same rows, what to label next, TensorBoard files."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from modelhub_helpers import ACTOR, OPTIONS, make_snapshot

from rootstock.jobs import runner
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.modelhub import services
from rootstock.modelhub.models import Comparison, DatasetExample, ModelVersion, TrainingRun
from rootstock.modelhub.reporting import has_tensorboard, tensorboard_zip
from rootstock.modelhub.runs import training_run_now
from rootstock.modelhub.selecting import selection_start
from rootstock.modelhub.services.comparisons import comparison_start
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

# Each test runs ml_core in a process of its own.
pytestmark = pytest.mark.slow


@pytest.fixture
def start(
    live_db: None, organisation: Organisation, artifacts: Path, var: Path, tiny_base: Path
) -> Callable[..., TrainingRun]:
    """Starts a run of the tiny base; a path as base is for tests only, so it is put in behind the service."""

    def begin(**options: Any) -> TrainingRun:
        with organisation_scope(organisation.pk):
            config = OPTIONS | options.pop("config", {})
            run = services.training_start(
                snapshot=make_snapshot(), name="finance.sentiment", actor=ACTOR, config=config, **options
            )  # fmt: skip
            run.config = {**run.config, "base": str(tiny_base)}
            run.save()
        return run

    return begin


def work(organisation: Organisation, job_id: Any) -> Job:
    with organisation_scope(organisation.pk):
        job = jobs.job_claim(job_id)
    assert job is not None
    runner.execute(job)
    with organisation_scope(organisation.pk):
        return Job.objects.get(pk=job_id)


def test_a_search_registers_its_best(
    start: Callable[..., TrainingRun], organisation: Organisation, var: Path
) -> None:
    run = start(
        config={"epochs": 1}, space={"learning_rate": [1e-5, 5e-3], "epochs": [1, 4]}, trials=3
    )
    job = work(organisation, run.job_id)
    assert (job.state, job.error) == ("succeeded", "")
    with organisation_scope(organisation.pk):
        after = TrainingRun.objects.get(pk=run.pk)
        version = ModelVersion.objects.get()
    assert [trial["number"] for trial in after.trials] == [0, 1, 2]
    best = max(trial["score"] for trial in after.trials if trial["score"] is not None)
    assert version.metrics["validation"]["macro_f1"] == pytest.approx(best)
    assert version.run_id == after.pk
    assert "trial 1:" in after.log
    assert not (var / "training" / str(run.pk)).exists()


def test_tensorboard_files_are_kept_and_can_be_had(start: Callable[..., TrainingRun]) -> None:
    run = start(config={"epochs": 1, "reporting": ["tensorboard"]}, queue_job=False)
    training_run_now(run, lambda *_: None)
    assert has_tensorboard(run)
    content = b"".join(tensorboard_zip(run).streaming_content)  # type: ignore[arg-type]
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert any("events." in name for name in names)


def test_two_versions_answer_the_same_rows(
    live_db: None, organisation: Organisation, var: Path, artifacts: Path, place_artifact: Callable[[], str]
) -> None:  # fmt: skip
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot()
        versions = [
            services.version_register(
                name=name, artifact_path=place_artifact(), actor=ACTOR, snapshot=snapshot
            )
            for name in ("one", "two")
        ]
        job = comparison_start(first=versions[0], second=versions[1], actor=ACTOR)
    done = work(organisation, job.pk)
    assert (done.state, done.error) == ("succeeded", "")
    with organisation_scope(organisation.pk):
        found = Comparison.objects.get()
    assert found.differences["accuracy"]["difference"] == 0
    assert found.count == snapshot.split_counts["test"]

    shutil.rmtree(artifacts / versions[0].artifact_path)
    with organisation_scope(organisation.pk):
        job = comparison_start(first=versions[0], second=versions[1], actor=ACTOR)
    assert work(organisation, job.pk).state == "failed"


def test_the_texts_that_teach_most_are_asked_first(
    live_db: None, organisation: Organisation, var: Path, artifacts: Path, place_artifact: Callable[[], str]
) -> None:  # fmt: skip
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
        version = services.version_register(
            name="one", artifact_path=place_artifact(), actor=ACTOR, snapshot=snapshot
        )
        waiting = [services.NewExample(text=f"the bank {n} rises and falls") for n in range(20)]
        services.examples_add(dataset=snapshot.dataset, examples=waiting, actor=ACTOR)
        job = selection_start(version=version, dataset=snapshot.dataset, actor=ACTOR, count=5)
    done = work(organisation, job.pk)
    assert (done.state, done.error) == ("succeeded", "")
    assert done.result["chosen"] == 5
    with organisation_scope(organisation.pk):
        chosen = DatasetExample.objects.filter(uncertainty__isnull=False)
        assert chosen.count() == 5
        assert not chosen.filter(labelled=True).exists()
        assert max(chosen.values_list("uncertainty", flat=True)) == 1.0
