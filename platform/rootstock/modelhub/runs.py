"""One training run from its snapshot to a registered version. The job and the command line both come here."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from ml_core.registry import Artifact, ArtifactError
from rootstock.common.actors import Actor
from rootstock.modelhub.models import ModelVersion, TrainingRun
from rootstock.modelhub.run_inputs import as_yaml, measured_part, run_options
from rootstock.modelhub.run_progress import (
    PHASES,
    Cancelled,
    Follower,
    OnProgress,
    organisation_of,
    run_directory,
)
from rootstock.modelhub.services.answers import (
    ANSWERS_FILE,
    KeptAnswers,
    answers_keep,
    answers_store,
)
from rootstock.modelhub.services.training import run_ended, run_started
from rootstock.modelhub.services.versions import version_register
from rootstock.modelhub.storage import StoreUnavailable, absolute_path, relative_path
from rootstock.modelhub.training_process import Ended, TrainingFailed, run_command
from rootstock.tenancy.scope import organisation_scope

__all__ = ["PHASES", "Cancelled", "OnProgress", "execute_run", "training_run_now"]

# How long the checkpoints of a run that failed or was stopped wait for somebody to go on with it.
KEPT_DAYS = 7


def execute_run(
    *,
    organisation_id: uuid.UUID,
    run_id: uuid.UUID,
    on_progress: OnProgress,
    cancelled_by: tuple[type[BaseException], ...] = (),
) -> dict[str, Any]:
    """Train, evaluate and register; returns {"version", "label"}. Call it outside any transaction.

    It may be called again for a run whose worker died: a model that was saved is registered, and a training goes on
    from its last checkpoint, which lies in the run's own directory below ROOTSTOCK_VAR.
    `on_progress` is called at least once a second; an exception of `cancelled_by` that it raises ends the run as
    cancelled, any other leaves it running for the next attempt. Both stop the training process.

    Raises:
        TrainingFailed: with a message for people, which the run has stored.
    """
    run = _begin(organisation_id, run_id)
    if run is None:
        return {}
    follower = Follower(run, on_progress)
    stops: tuple[type[BaseException], ...] = (Cancelled, *cancelled_by)
    try:
        follower.take_up()
        artifact_path, peak = _train(run, follower)
        reports, answers = run_evaluate(run, artifact_path, follower)
        follower.enter("register")
        return run_finish(run, artifact_path, reports, answers, peak, follower.log())
    except TrainingFailed as error:
        _end(run, TrainingRun.State.FAILED, follower, code=error.code, message=str(error))
        raise
    except stops:
        _end(run, TrainingRun.State.CANCELLED, follower)
        raise
    finally:
        if run.state != TrainingRun.State.RUNNING:
            # What the next attempt of a run that was left running needs of this one lies there.
            shutil.rmtree(follower.directory, ignore_errors=True)
        tidy(run)


def training_run_now(run: TrainingRun, on_progress: OnProgress | None = None) -> ModelVersion:
    """Carry out a run that was started with `queue_job=False`, here and now; returns its version.

    Without `on_progress` a bar is shown when standard error is a terminal. Call it outside any transaction: it opens
    short ones of its own.

    Raises:
        TrainingFailed: with a message for people.
    """
    with show_progress(on_progress) as show:
        result = execute_run(
            organisation_id=organisation_of(run),
            run_id=run.pk,
            on_progress=show,
            cancelled_by=(KeyboardInterrupt,),
        )
    with organisation_scope(organisation_of(run)):
        return ModelVersion.objects.get(pk=result["version"])


@contextmanager
def show_progress(on_progress: OnProgress | None) -> Iterator[OnProgress]:
    """What a run's progress is told to: `on_progress`, or a bar when standard error is a terminal."""
    from tqdm import tqdm

    with tqdm(total=100, disable=None if on_progress is None else True, unit="%") as bar:

        def show(fraction: float, phase: str, message: str) -> None:
            bar.set_description_str(phase)
            bar.n = round(fraction * 100)
            bar.set_postfix_str(message)
            if on_progress is not None:
                on_progress(fraction, phase, message)

        yield show


def _begin(organisation_id: uuid.UUID, run_id: uuid.UUID) -> TrainingRun | None:
    sweep()
    with organisation_scope(organisation_id):
        run = (
            TrainingRun.objects.select_for_update(of=("self",))
            .select_related("snapshot__dataset", "parent")
            .get(pk=run_id)
        )
        if run.ended:
            return None
        run_started(run=run)
        return run


def _train(run: TrainingRun, follower: Follower) -> tuple[str, int]:
    """The stored path of the saved artefact, and the peak memory of the process in MB."""
    path = relative_path(organisation_of(run), "versions", str(run.pk))
    target = absolute_path(path)
    try:
        Artifact.open(target)
    except ArtifactError:
        # Not there, or half of something: an earlier attempt left nothing of use.
        shutil.rmtree(target, ignore_errors=True)
    else:
        return path, run.peak_memory_mb or 0
    follower.enter("prepare")
    options = run_options(run, directory=follower.home, out=target)
    ended = _search(run, follower, options) if run.is_search else _fine_tune(follower, options)
    follower.store_rest()
    return path, ended.peak_memory_mb


def _fine_tune(follower: Follower, options: dict[str, Any]) -> Ended:
    """Train one model; from the last checkpoint, where an attempt before has left one."""
    checkpoints = follower.home / "checkpoints"
    step = newest_step(checkpoints)
    if step is not None:
        follower.note(f"Goes on from the checkpoint at step {step:,}")
    options = options | {"checkpoints": str(checkpoints)}
    source = follower.directory / "config.yaml"
    source.write_text(as_yaml(options), encoding="utf-8")
    arguments = ["train", "--config", str(source), "--progress-file", str(follower.progress_file)]
    try:
        return run_command_in(follower, arguments)
    except TrainingFailed as error:
        if step is None or not str(error).startswith("checkpoints:"):
            raise
        # Of another release of the program, say: what it learned cannot be gone on from.
        follower.note("The checkpoint does not fit any more; training begins anew")
        shutil.rmtree(checkpoints, ignore_errors=True)
        follower.begin_again()
        return run_command_in(follower, arguments)


def _search(run: TrainingRun, follower: Follower, options: dict[str, Any]) -> Ended:
    """Try options; the best model is moved to where the run's artefact belongs. Trials before a crash count."""
    target = Path(options.pop("out"))
    home = follower.home / "search"
    follower.trials_file = home / "search.json"
    source, space = follower.directory / "config.yaml", follower.directory / "space.yaml"
    source.write_text(as_yaml(options), encoding="utf-8")
    space.write_text(as_yaml(run.space), encoding="utf-8")
    arguments = ["search", "--config", str(source), "--space", str(space), "--out", str(home)]
    arguments += ["--trials", str(run.trial_count), "--progress-file", str(follower.progress_file)]
    ended = run_command_in(follower, arguments)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(home / "best", target)
    return ended


def run_command_in(follower: Follower, arguments: list[str]) -> Ended:
    """Run ml_core's command line and let `follower` follow it."""
    return run_command(
        arguments,
        directory=follower.directory,
        memory_mb=settings.TRAINING_MEMORY_MB,
        tick=follower.tick,
    )


def run_evaluate(
    run: TrainingRun, artifact_path: str, follower: Follower
) -> tuple[dict[str, Any], KeptAnswers | None]:
    """Reports by part, and the answers to the part that says most (test, when there is one): its report has matrix,
    slices and worst errors."""
    artifact = Artifact.open(absolute_path(artifact_path), verify=False)
    follower.enter("test")
    part = measured_part(run.snapshot)
    data = absolute_path(run.snapshot.path) / f"{part}.jsonl"
    answers = follower.directory / ANSWERS_FILE
    command = ["evaluate", str(artifact.path), "--data", str(data), "--answers", str(answers)]
    ended = run_command_in(follower, command)
    report = json.loads(ended.output.strip().splitlines()[-1])
    try:
        kept = answers_keep(organisation_of(run), answers)
    except StoreUnavailable as error:
        raise TrainingFailed("artifact", str(error)) from error
    return {"validation": artifact.manifest.metrics} | {part: report}, kept


def run_finish(  # noqa: PLR0917 - what came of the run, in the order in which it did
    run: TrainingRun,
    artifact_path: str,
    reports: dict[str, Any],
    answers: KeptAnswers | None,
    peak: int,
    log: str,
) -> dict[str, Any]:
    with organisation_scope(organisation_of(run)):
        version = version_register(
            name=run.name,
            artifact_path=artifact_path,
            actor=Actor(run.actor_kind, run.actor_id, run.actor_label),  # type: ignore[arg-type]
            snapshot=run.snapshot,
            run=run,
            parent=run.parent,
            metrics=reports,
        )
        part = measured_part(run.snapshot)
        answers_store(version=version, snapshot=run.snapshot, split=part, kept=answers)
        run_ended(run=run, state=TrainingRun.State.SUCCEEDED, log=log, peak_memory_mb=peak or None)
    return {"version": str(version.pk), "label": version.label}


def _end(
    run: TrainingRun, state: str, follower: Follower, *, code: str = "", message: str = ""
) -> None:
    follower.store_rest()
    with organisation_scope(organisation_of(run)):
        run_ended(run=run, state=state, error_code=code, error=message, log=follower.log())


def newest_step(checkpoints: Path) -> int | None:
    """The step of the newest checkpoint that ml_core declared whole, or None."""
    steps = [
        int(mark.parent.name.removeprefix("checkpoint-"))
        for mark in checkpoints.glob("checkpoint-*/whole.json")
    ]
    return max(steps, default=None)


def tidy(run: TrainingRun) -> None:
    """Keep what a run can go on from, and what can be downloaded; nothing else."""
    home = run_directory(run.pk)
    if run.state == TrainingRun.State.SUCCEEDED:
        for name in ("checkpoints", "inputs", "search"):
            shutil.rmtree(home / name, ignore_errors=True)
    elif not any((home / name).exists() for name in ("checkpoints", "search")):
        shutil.rmtree(home / "inputs", ignore_errors=True)
    if home.is_dir() and not any(home.iterdir()):
        home.rmdir()


def sweep() -> None:
    """Remove the checkpoints of runs that nobody has gone on with for a week."""
    oldest = time.time() - KEPT_DAYS * 86_400
    for home in (Path(settings.VAR) / "training").glob("*/"):
        for kept in home.glob("*/"):
            if kept.name in ("checkpoints", "search", "inputs") or kept.match("attempt-*"):
                changed = max(path.stat().st_mtime for path in (kept, *kept.iterdir()))
                if changed < oldest:
                    shutil.rmtree(kept, ignore_errors=True)
