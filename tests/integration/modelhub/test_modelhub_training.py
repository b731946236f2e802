"""Training in a process of its own: it learns, is cancelled, outgrows its memory, loses its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from modelhub_helpers import ACTOR, OPTIONS, make_snapshot

from rootstock.modelhub import selectors, services
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import ModelVersion, TrainingPoint, TrainingRun
from rootstock.modelhub.runs import execute_run, training_run_now
from rootstock.modelhub.training_process import TrainingFailed, run_command
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

# Each test trains a (tiny) model in a process of its own.
pytestmark = pytest.mark.slow


@pytest.fixture
def run(
    live_db: None, organisation: Organisation, artifacts: Path, var: Path, tiny_base: Path
) -> TrainingRun:
    """A run that trains the tiny base; a path as base is for tests only, so it is put in behind the service."""
    with organisation_scope(organisation.pk):
        started = services.training_start(
            snapshot=make_snapshot(),
            name="finance.sentiment",
            actor=ACTOR,
            config=OPTIONS,
            queue_job=False,
        )
        started.config = {**started.config, "base": str(tiny_base)}
        started.save()
    return started


def reload(run: TrainingRun) -> TrainingRun:
    with organisation_scope(run.organisation_id):
        return TrainingRun.objects.select_related("job").get(pk=run.pk)


def change_config(run: TrainingRun, **options: Any) -> None:
    with organisation_scope(run.organisation_id):
        TrainingRun.objects.filter(pk=run.pk).update(config=run.config | options)


def test_a_run_learns_and_becomes_a_version(run: TrainingRun, artifacts: Path, var: Path) -> None:
    seen: list[tuple[float, str]] = []
    version = training_run_now(run, lambda fraction, phase, _: seen.append((fraction, phase)))
    assert version.label == "finance.sentiment v1"
    assert version.metrics["test"]["macro_f1"] > 0.6, "the tiny model learned its task"
    assert len(version.metrics["test"]["confusion"]) == 3
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] >= 0.99
    assert {"Evaluate on the test part", "Register the version"} <= {p for _, p in seen}
    after = reload(run)
    assert (after.state, after.fraction, after.attempts) == ("succeeded", 1.0, 1)
    assert after.peak_memory_mb > 50
    assert "epoch 1: " in after.log
    assert "Evaluate on the test part" in after.log
    with organisation_scope(run.organisation_id):
        curve = selectors.run_curve(run)
        found = ModelVersion.objects.select_related("run", "snapshot").get()
    assert found.run == after
    assert found.snapshot == run.snapshot
    losses = [point["loss"] for point in curve if point["loss"] is not None]
    metrics = [point["metrics"] for point in curve if point["metrics"]]
    assert losses[-1] < losses[0]
    assert 1 <= len(metrics) <= 6
    assert list((var / "training").iterdir()) == [], "nothing is left behind"
    assert (artifacts / found.artifact_path / "manifest.json").is_file()


def test_training_goes_on_from_a_parent(run: TrainingRun) -> None:
    parent = training_run_now(run, lambda *_: None)
    with organisation_scope(run.organisation_id):
        child = services.training_start(
            snapshot=run.snapshot,
            name="finance.sentiment",
            actor=ACTOR,
            config=OPTIONS | {"epochs": 3},
            parent=parent,
            queue_job=False,
        )
    version = training_run_now(child, lambda *_: None)
    assert version.label == "finance.sentiment v2"
    assert version.parent_id == parent.pk
    assert version.metrics["test"]["macro_f1"] > 0.6, "it learned on"


def test_cancelling_stops_the_process(run: TrainingRun) -> None:
    change_config(run, epochs=500, early_stopping_patience=0)
    children: list[psutil.Process] = []

    class Stop(Exception):
        pass

    def progress(_: float, phase: str, __: str) -> None:
        children[:] = training_processes() or children
        if phase == "Train":
            raise Stop

    with pytest.raises(Stop):
        execute_run(
            organisation_id=run.organisation_id,
            run_id=run.pk,
            on_progress=progress,
            cancelled_by=(Stop,),
        )
    assert children
    gone(children)
    after = reload(run)
    assert after.state == "cancelled"
    with organisation_scope(run.organisation_id):
        assert not ModelVersion.objects.exists()
        with pytest.raises(Conflict, match="ended already"):
            services.training_cancel(run=after, actor=ACTOR)


def test_a_run_cancelled_on_the_page_stops_the_command_line(run: TrainingRun) -> None:
    change_config(run, epochs=500, early_stopping_patience=0)

    def progress(_: float, phase: str, __: str) -> None:
        if phase == "Train" and reload(run).state == "running":
            with organisation_scope(run.organisation_id):
                services.training_cancel(run=run, actor=ACTOR)

    from rootstock.modelhub.runs import Cancelled

    with pytest.raises(Cancelled):
        training_run_now(run, progress)
    assert reload(run).state == "cancelled"


def test_a_queued_run_is_cancelled_at_once(scope: Organisation, artifacts: Path) -> None:
    run = services.training_start(snapshot=make_snapshot(count=60), name="a", actor=ACTOR)
    assert run.job.state == "queued"
    cancelled = services.training_cancel(run=run, actor=ACTOR)
    assert cancelled.state == "cancelled"
    run.job.refresh_from_db()
    assert run.job.state == "cancelled"


def test_too_much_memory_is_said_in_words(run: TrainingRun, settings: Any) -> None:
    settings.TRAINING_MEMORY_MB = 60
    with pytest.raises(TrainingFailed, match="60 MB"):
        training_run_now(run, lambda *_: None)
    after = reload(run)
    assert (after.state, after.error_code) == ("failed", "out-of-memory")
    assert "batch_size" in after.error
    assert after.peak_memory_mb is None or after.peak_memory_mb > 60


def test_bad_input_is_said_in_words(run: TrainingRun) -> None:
    change_config(run, base="/nowhere/at/all")
    with pytest.raises(TrainingFailed, match="no such model directory"):
        training_run_now(run, lambda *_: None)
    after = reload(run)
    assert (after.state, after.error_code) == ("failed", "bad-input")
    assert "error:" in after.log


def test_a_lost_snapshot_is_said_in_words(run: TrainingRun, artifacts: Path) -> None:
    (artifacts / run.snapshot.path / "train.jsonl").unlink()
    with pytest.raises(TrainingFailed, match="no such file"):
        training_run_now(run, lambda *_: None)
    assert reload(run).state == "failed"


def test_a_second_attempt_registers_what_the_first_had_saved(run: TrainingRun, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    def progress(_: float, phase: str, __: str) -> None:
        if phase == "Evaluate on the test part":
            raise Killed

    with pytest.raises(Killed):
        execute_run(organisation_id=run.organisation_id, run_id=run.pk, on_progress=progress)
    assert reload(run).state == "running", "its job will be given to another worker"

    phases: list[str] = []
    version = training_run_now(run, lambda _, phase, __: phases.append(phase))
    assert "Train" not in phases
    assert version.number == 1
    assert reload(run).attempts == 2


def test_a_killed_worker_takes_its_training_along(
    run: TrainingRun, var: Path, artifacts: Path
) -> None:
    """SIGKILL leaves no orphan, and the next attempt starts cleanly."""
    change_config(run, epochs=500, early_stopping_patience=0)
    program = (
        "import django; django.setup(); import uuid, sys\n"
        "from django.conf import settings; from pathlib import Path\n"
        f"settings.VAR = Path({str(var)!r}); settings.ARTIFACTS = Path({str(artifacts)!r})\n"
        "from rootstock.modelhub.runs import execute_run\n"
        f"execute_run(organisation_id=uuid.UUID('{run.organisation_id}'), run_id=uuid.UUID('{run.pk}'),"
        " on_progress=lambda *_: None)\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(["platform", ".", os.environ.get("PYTHONPATH", "")])},
        start_new_session=True,
    )
    try:
        wait_for(lambda: points(run) > 0, "the first point of the curve")
        children = psutil.Process(worker.pid).children(recursive=True)
        assert len(children) >= 2, "launcher and training"
        worker.kill()
        worker.wait()
        gone(children)
    finally:
        worker.kill()
    assert reload(run).state == "running"

    change_config(run, epochs=2)
    version = training_run_now(run, lambda *_: None)
    assert version.number == 1
    with organisation_scope(run.organisation_id):
        steps = list(
            TrainingPoint.objects.filter(loss__isnull=False).values_list("step", flat=True)
        )
    assert len(steps) == len(set(steps)), "nothing of the broken attempt is left in the curve"


def test_a_killed_launcher_takes_its_training_along(tmp_path: Path) -> None:
    """Even the watcher's own death ends the training process."""
    seen: list[psutil.Process] = []

    def tick() -> None:
        family = training_processes()
        if len(family) >= 2 and not seen:
            seen.extend(family)
            next(p for p in family if "launcher.py" in " ".join(p.cmdline())).send_signal(
                signal.SIGKILL
            )

    with pytest.raises(TrainingFailed) as caught:
        run_command(
            ["serve", "--address", f"unix://{tmp_path}/s.sock", "--allowed-root", str(tmp_path)],
            directory=tmp_path,
            memory_mb=4000,
            tick=tick,
        )
    assert caught.value.code == "killed"
    gone(seen)


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"epoch": 3}, "/config/epoch"),
        ({"epochs": -1}, "/config/epochs"),
        ({"epochs": "many"}, "/config/epochs"),
        ({"base": "/etc"}, "/config/base"),
        ({"base": "../other/versions/1"}, "/config/base"),
        ({"base": "a/b/c"}, "/config/base"),
        ({"train": "/etc/passwd"}, "/config/train"),
        ({"out": "x"}, "/config/out"),
    ],
)
def test_a_wrong_option_is_named(
    scope: Organisation, artifacts: Path, config: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(ModelhubError) as caught:
        services.training_start(
            snapshot=make_snapshot(count=60), name="a.b", actor=ACTOR, config=config
        )
    assert caught.value.errors[0]["pointer"] == pointer
    assert not TrainingRun.objects.exists()


def training_processes() -> list[psutil.Process]:
    """What this process has started to train, and not the servers of the test session."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            command = process.cmdline()
        except psutil.NoSuchProcess:
            continue
        if "ml_core" in command or any(part.endswith("launcher.py") for part in command):
            found.append(process)
    return found


def points(run: TrainingRun) -> int:
    with organisation_scope(run.organisation_id):
        return TrainingPoint.objects.filter(run=run).count()


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited a minute for {what}"
        time.sleep(0.1)


def gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=15)
    left = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not left, left
