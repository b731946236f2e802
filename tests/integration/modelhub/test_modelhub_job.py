"""The training job as a worker runs it: to its end, cancelled on the page, failed with words."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from django.db import connections
from modelhub_helpers import ACTOR, OPTIONS, make_snapshot

from rootstock.jobs import runner
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.modelhub import services
from rootstock.modelhub.models import TrainingRun
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

# Each test trains a (tiny) model in a process of its own.
pytestmark = pytest.mark.slow


@pytest.fixture
def run(
    live_db: None,
    organisation: Organisation,
    artifacts: Path,
    var: Path,
    tiny_base: Path,
) -> TrainingRun:
    with organisation_scope(organisation.pk):
        started = services.training_start(
            snapshot=make_snapshot(), name="finance.sentiment", actor=ACTOR, config=OPTIONS
        )
        started.config = {**started.config, "base": str(tiny_base)}
        started.save()
    return started


def work(run: TrainingRun) -> None:
    """What a worker does with the job's message."""
    with organisation_scope(run.organisation_id):
        job = jobs.job_claim(run.job_id)
    assert job is not None
    runner.execute(job)


def states(run: TrainingRun) -> tuple[TrainingRun, Job]:
    with organisation_scope(run.organisation_id):
        fresh = TrainingRun.objects.select_related("job").get(pk=run.pk)
    return fresh, fresh.job


def test_the_job_ends_with_a_version(run: TrainingRun) -> None:
    work(run)
    after, job = states(run)
    assert (after.state, job.state, job.fraction) == ("succeeded", "succeeded", 1.0)
    assert job.result["label"] == "finance.sentiment v1"


def test_a_failure_is_said_on_both(run: TrainingRun) -> None:
    with organisation_scope(run.organisation_id):
        TrainingRun.objects.filter(pk=run.pk).update(config={"base": "/nowhere/at/all"})
    work(run)
    after, job = states(run)
    assert (after.state, job.state) == ("failed", "failed")
    assert "no such model directory" in job.error == after.error


def test_cancelling_on_the_page_reaches_the_worker(run: TrainingRun) -> None:
    with organisation_scope(run.organisation_id):
        TrainingRun.objects.filter(pk=run.pk).update(
            config=run.config | {"epochs": 900, "early_stopping_patience": 0}
        )

    def in_thread() -> None:
        try:
            work(run)
        finally:
            connections.close_all()

    thread = threading.Thread(target=in_thread)
    thread.start()
    try:
        deadline = time.monotonic() + 90
        while states(run)[0].phase != "train":
            assert time.monotonic() < deadline, "training did not begin"
            time.sleep(0.2)
        with organisation_scope(run.organisation_id):
            services.training_cancel(run=run, actor=ACTOR)
    finally:
        thread.join(60)
    assert not thread.is_alive()
    after, job = states(run)
    assert (after.state, job.state) == ("cancelled", "cancelled")


def test_a_job_that_ended_without_its_worker_ends_the_run(run: TrainingRun) -> None:
    with organisation_scope(run.organisation_id):
        TrainingRun.objects.filter(pk=run.pk).update(state="running")
        Job.objects.filter(pk=run.job_id).update(state="failed", error="Its worker ended.")
    after, _ = states(run)
    assert (after.current_state, after.current_error, after.ended) == (
        "failed",
        "Its worker ended.",
        True,
    )
