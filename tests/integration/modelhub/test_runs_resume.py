"""A training that is killed goes on from its last checkpoint, by its job's next attempt or when somebody asks."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from modelhub_helpers import ACTOR, OPTIONS, make_snapshot

from rootstock.jobs import runner
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.modelhub import run_progress, selectors, services, training_process
from rootstock.modelhub.errors import Conflict
from rootstock.modelhub.models import ModelVersion, TrainingRun
from rootstock.modelhub.run_progress import Follower
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


def killer(
    var: Path, run: TrainingRun, monkeypatch: pytest.MonkeyPatch, *, evaluations: int = 0
) -> Any:
    """A progress function that kills the training with SIGKILL once there are a checkpoint and so many evaluations."""
    children: list[int] = []
    popen = training_process.subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        process = popen(command, **options)
        children.append(process.pid)
        return process

    monkeypatch.setattr(training_process.subprocess, "Popen", start)

    def progress(_: float, phase: str, __: str) -> None:
        home = var / "training" / str(run.pk)
        marks = list((home / "checkpoints").glob("*/whole.json"))
        told = [line for file in home.glob("*/progress.jsonl") for line in file.open()]
        evaluated = [line for line in told if '"accuracy"' in line]
        if phase != "Load the base model" and marks and len(evaluated) >= evaluations:
            os.kill(children[-1], signal.SIGKILL)
            raise Killed

    return progress


def test_a_killed_training_goes_on_and_its_curve_with_it(
    run: TrainingRun, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first worker dies before it has stored any of what its process told.
    monkeypatch.setattr(run_progress, "_STORE_SECONDS", 1e9)
    with pytest.raises(Killed):
        execute_run(
            organisation_id=run.organisation_id,
            run_id=run.pk,
            on_progress=killer(var, run, monkeypatch, evaluations=2),
        )
    monkeypatch.undo()
    with organisation_scope(run.organisation_id):
        assert not selectors.run_curve(run)
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
    evaluated = [point["epoch"] for point in curve if point["metrics"]]
    assert evaluated == list(range(1, EPOCHS + 1)), "every evaluation, and each once"
    assert not (var / "training" / str(run.pk)).exists(), "nothing is left behind"


def test_what_killed_workers_had_not_stored_is_read_from_their_files(
    run: TrainingRun, var: Path
) -> None:
    def line(step: int, *, loss: float | None = None, f1: float | None = None) -> str:
        metrics = None if f1 is None else {"accuracy": f1, "macro_f1": f1}
        told = {"phase": "evaluate" if metrics else "train", "step": step, "total_steps": 8}
        told |= {"epoch": step / 2, "loss": loss, "metrics": metrics, "eta_seconds": 1.0}
        return json.dumps(told) + "\n"

    attempts = {
        # Killed while it wrote: the last line is no line.
        1: line(1, loss=0.9) + line(2, loss=0.8) + line(2, f1=0.5) + line(3, loss=0.75)[:30],
        # Went on from step 2, and made an evaluation that its worker never saw.
        2: line(3, loss=0.7) + line(4, loss=0.6) + line(4, f1=0.6),
        3: "",
    }
    home = var / "training" / str(run.pk)
    for number, text in attempts.items():
        (home / f"attempt-{number}").mkdir(parents=True)
        (home / f"attempt-{number}" / "progress.jsonl").write_text(text)
    with organisation_scope(run.organisation_id):
        run.attempts, run.state = 4, TrainingRun.State.RUNNING
        run.save()
        for step, loss in ((1, 0.9), (2, 0.8), (3, 0.75)):
            run.points.create(step=step, epoch=step / 2, loss=loss)

    Follower(run, lambda *_: None).take_up()
    with organisation_scope(run.organisation_id):
        curve = [(p["step"], p["loss"], bool(p["metrics"])) for p in selectors.run_curve(run)]
    assert curve == [
        (1, 0.9, False), (2, 0.8, False), (2, None, True),
        (3, 0.7, False), (4, 0.6, False), (4, None, True),
    ]  # fmt: skip
    assert reload(run).headline == "macro_f1"
    assert [each.name for each in home.iterdir()] == ["attempt-4"], "what was taken up is gone"


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
