"""A training that is killed goes on from its last checkpoint, by its job's next attempt or when somebody asks."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from modelhub_helpers import ACTOR, OPTIONS, make_snapshot

from rootstock.jobs import runner
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.modelhub import selectors, services, training_process
from rootstock.modelhub.errors import Conflict
from rootstock.modelhub.models import ModelVersion, TrainingRun
from rootstock.modelhub.runs import execute_run, training_run_now
from rootstock.modelhub.training_process import TrainingFailed
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

# Each test trains a (tiny) model in a process of its own.
pytestmark = pytest.mark.slow

# Enough that the training is still on its way when it is looked at, twice a second.
EPOCHS = 12


@pytest.fixture
def run(
    live_db: None, organisation: Organisation, artifacts: Path, var: Path, tiny_base: Path
) -> TrainingRun:
    """A run that writes a checkpoint after every step."""
    options = OPTIONS | {"epochs": EPOCHS, "checkpoint_minutes": 0, "early_stopping_patience": 0}
    with organisation_scope(organisation.pk):
        started = services.training_start(
            snapshot=make_snapshot(), name="finance.sentiment", actor=ACTOR, config=options
        )
        started.config = {**started.config, "base": str(tiny_base)}
        started.save()
    return started


def reload(run: TrainingRun) -> TrainingRun:
    with organisation_scope(run.organisation_id):
        return TrainingRun.objects.select_related("job", "snapshot__dataset").get(pk=run.pk)


class Killed(BaseException):
    """The worker's own death."""


def killer(var: Path, run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A progress function that kills the training with SIGKILL once a few checkpoints are there."""
    children: list[int] = []
    popen = training_process.subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        process = popen(command, **options)
        children.append(process.pid)
        return process

    monkeypatch.setattr(training_process.subprocess, "Popen", start)

    def progress(_: float, phase: str, __: str) -> None:
        marks = list((var / "training" / str(run.pk) / "checkpoints").glob("*/whole.json"))
        if phase == "Train" and marks:
            os.kill(children[-1], signal.SIGKILL)
            raise Killed

    return progress


def test_a_killed_training_goes_on_and_its_curve_with_it(
    run: TrainingRun, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        execute_run(
            organisation_id=run.organisation_id,
            run_id=run.pk,
            on_progress=killer(var, run, monkeypatch),
        )
    monkeypatch.undo()
    assert reload(run).state == "running", "its job will be given to another worker"

    with organisation_scope(run.organisation_id):
        job = jobs.job_claim(run.job_id)
    assert job is not None
    runner.execute(job)

    after = reload(run)
    assert (after.state, after.attempts, after.headline) == ("succeeded", 2, "macro_f1")
    assert "Goes on from the checkpoint at step" in after.log
    with organisation_scope(run.organisation_id):
        assert Job.objects.get(pk=run.job_id).state == "succeeded"
        assert ModelVersion.objects.get().label == "finance.sentiment v1"
        curve = selectors.run_curve(run)
    steps = [point["step"] for point in curve if point["loss"] is not None]
    assert steps == sorted(set(steps)), "no step is drawn twice"
    # What a dead worker had read and not stored yet, a second of the curve, is gone with it.
    assert EPOCHS - 3 <= len([point for point in curve if point["metrics"]]) <= EPOCHS
    assert not (var / "training" / str(run.pk)).exists(), "nothing is left behind"


def test_a_failed_run_is_resumed_when_somebody_asks(
    run: TrainingRun, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Exception):
        pass

    tick = killer(var, run, monkeypatch)

    def progress(fraction: float, phase: str, message: str) -> None:
        try:
            tick(fraction, phase, message)
        except Killed:
            raise TrainingFailed("crashed", "The disk is full.") from None

    with pytest.raises(TrainingFailed):
        execute_run(organisation_id=run.organisation_id, run_id=run.pk, on_progress=progress)
    monkeypatch.undo()
    assert reload(run).state == "failed"

    with organisation_scope(run.organisation_id):
        again = services.training_resume(run=reload(run), actor=ACTOR)
        assert (again.state, again.error) == ("queued", "")
        with pytest.raises(Conflict, match="failed or was stopped"):
            services.training_resume(run=again, actor=ACTOR)
    version = training_run_now(reload(run), lambda *_: None)
    assert version.number == 1
    assert "Goes on from the checkpoint at step" in reload(run).log


def test_checkpoints_that_do_not_fit_are_not_gone_on_from(
    run: TrainingRun, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another release of the program may not be able to use them; the run does not fail for that."""
    with pytest.raises(Killed):
        execute_run(
            organisation_id=run.organisation_id,
            run_id=run.pk,
            on_progress=killer(var, run, monkeypatch),
        )
    monkeypatch.undo()
    with organisation_scope(run.organisation_id):
        TrainingRun.objects.filter(pk=run.pk).update(config=run.config | {"learning_rate": 2e-3})
    version = training_run_now(reload(run), lambda *_: None)
    assert version.number == 1
    assert "training begins anew" in reload(run).log
