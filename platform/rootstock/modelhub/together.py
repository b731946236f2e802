"""Several heads on one encoder, from their snapshots to their registered versions. See `runs` for a run alone."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

from ml_core.registry import Artifact, ArtifactError
from rootstock.modelhub.models import ModelVersion, TrainingPoint, TrainingRun
from rootstock.modelhub.run_inputs import as_yaml, run_options
from rootstock.modelhub.run_progress import Cancelled, Follower, OnProgress, organisation_of
from rootstock.modelhub.runs import (
    newest_step,
    run_command_in,
    run_evaluate,
    run_finish,
    show_progress,
    sweep,
    tidy,
)
from rootstock.modelhub.services.training import run_ended, run_progressed, run_started
from rootstock.modelhub.storage import absolute_path, relative_path
from rootstock.modelhub.training_process import TrainingFailed
from rootstock.tenancy.scope import organisation_scope


def execute_together(
    *,
    organisation_id: uuid.UUID,
    together: uuid.UUID,
    on_progress: OnProgress,
    cancelled_by: tuple[type[BaseException], ...] = (),
) -> dict[str, Any]:
    """Train, evaluate and register all heads, or none; returns {"versions": {run: version}}.

    As `runs.execute_run` it may be called again after a worker's death, and is ended by what `on_progress` raises.

    Raises:
        TrainingFailed: with a message for people, which the runs have stored.
    """
    runs = _begin(organisation_id, together)
    if not runs:
        return {"versions": {}}
    follower = GroupFollower(runs, on_progress)
    stops: tuple[type[BaseException], ...] = (Cancelled, *cancelled_by)
    try:
        follower.take_up()
        paths, peak = _train(runs, follower)
        found = [
            (path, *run_evaluate(run, path, follower))
            for run, path in zip(runs, paths, strict=True)
        ]
        follower.enter("register")
        log = follower.log()
        versions = {}
        with organisation_scope(organisation_id):
            for run, (path, reports, answers) in zip(runs, found, strict=True):
                done = run_finish(run, path, reports, answers, peak, log)
                versions[str(run.pk)] = done["version"]
        return {"versions": versions}
    except TrainingFailed as error:
        _end(follower, TrainingRun.State.FAILED, code=error.code, message=str(error))
        raise
    except stops:
        _end(follower, TrainingRun.State.CANCELLED)
        raise
    finally:
        if runs[0].state != TrainingRun.State.RUNNING:
            shutil.rmtree(follower.directory, ignore_errors=True)
        tidy(runs[0])


def together_now(
    runs: list[TrainingRun], on_progress: OnProgress | None = None
) -> list[ModelVersion]:
    """Carry out runs that were started with `queue_job=False`, here and now; returns their versions in order.

    Call it outside any transaction.

    Raises:
        TrainingFailed: with a message for people.
    """
    together, organisation_id = runs[0].together, organisation_of(runs[0])
    assert together is not None  # noqa: S101 - they were started together
    with show_progress(on_progress) as show:
        result = execute_together(
            organisation_id=organisation_id,
            together=together,
            on_progress=show,
            cancelled_by=(KeyboardInterrupt,),
        )
    with organisation_scope(organisation_id):
        return [ModelVersion.objects.get(pk=result["versions"][str(run.pk)]) for run in runs]


class GroupFollower(Follower):
    """Follows the one process of several runs; each run gets the loss that they share and the figures of its own head.

    The process names a head by the directory of its artefact, which is the run's id: "0198…/macro_f1".
    """

    def __init__(self, runs: list[TrainingRun], on_progress: OnProgress) -> None:
        self.runs = runs
        super().__init__(runs[0], on_progress)

    def _point(self, progress: dict[str, Any]) -> TrainingPoint | None:
        point = super()._point(progress)
        if point is not None:
            point.said = progress["metrics"]  # type: ignore[attr-defined]  # what the other runs' figures are taken from
            point.metrics = _figures(self.run, progress["metrics"])
        return point

    def _note_metrics(self, progress: dict[str, Any]) -> None:
        metrics = progress["metrics"]
        shown = [f"mean {metrics['mean']:.4f}"]
        for run in self.runs:
            own = _figures(run, metrics) or {}
            run.headline = run.headline or next(iter(own), "")
            shown += [f"{run.name} {value:.4f}" for name, value in own.items() if name != "loss"]
        self.note(f"epoch {progress['epoch']:g}: {'  '.join(shown)}")

    def _name_headline(self, metrics: dict[str, float]) -> None:
        """Each run's was named with its figures."""

    def _write(self) -> None:
        points, begins_at = self._points, self._begins_at
        super()._write()
        with organisation_scope(organisation_of(self.run)):
            for run in self.runs[1:]:
                run_progressed(
                    run=run,
                    phase=self._phase,
                    fraction=self._fraction,
                    eta_seconds=self._eta,
                    points=[_for(run, point) for point in points],
                    log=self.log(),
                    begins_at=begins_at,
                )


def _figures(run: TrainingRun, metrics: dict[str, float] | None) -> dict[str, float] | None:
    """Of all heads' metrics those of one run's, the loss with them."""
    if not metrics:
        return metrics
    own = {
        name.partition("/")[2]: value
        for name, value in metrics.items()
        if name.startswith(f"{run.pk}/")
    }
    return own | {"loss": metrics["loss"]}


def _for(run: TrainingRun, point: TrainingPoint) -> TrainingPoint:
    said: dict[str, float] | None = point.said  # type: ignore[attr-defined]
    return TrainingPoint(
        organisation_id=run.organisation_id,
        run=run,
        step=point.step,
        epoch=point.epoch,
        loss=point.loss,
        metrics=_figures(run, said),
    )


def _begin(organisation_id: uuid.UUID, together: uuid.UUID) -> list[TrainingRun]:
    sweep()
    with organisation_scope(organisation_id):
        runs = list(
            TrainingRun.objects.select_for_update(of=("self",))
            .select_related("snapshot__dataset", "parent")
            .filter(together=together)
            .order_by("number")
        )
        if all(run.ended for run in runs):
            return []
        for run in runs:
            run_started(run=run)
        return runs


def _train(runs: list[TrainingRun], follower: Follower) -> tuple[list[str], int]:
    """The stored paths of the saved artefacts, and the peak memory of the process in MB."""
    paths = [relative_path(organisation_of(run), "versions", str(run.pk)) for run in runs]
    targets = [absolute_path(path) for path in paths]
    if all(map(_is_saved, targets)):
        return paths, runs[0].peak_memory_mb or 0
    for target in targets:
        # Some of them, or half of one: an earlier attempt left nothing of use.
        shutil.rmtree(target, ignore_errors=True)
    follower.enter("prepare")
    heads = [
        run_options(run, directory=follower.home, out=target)
        for run, target in zip(runs, targets, strict=True)
    ]
    checkpoints = follower.home / "checkpoints"
    step = newest_step(checkpoints)
    if step is not None:
        follower.note(f"Goes on from the checkpoint at step {step:,}")
    source = follower.directory / "together.yaml"
    values = {"checkpoints": str(checkpoints), "heads": heads}
    source.write_text(as_yaml(values), encoding="utf-8")
    arguments = ["together", "--config", str(source)]
    arguments += ["--progress-file", str(follower.progress_file)]
    try:
        ended = run_command_in(follower, arguments)
    except TrainingFailed as error:
        if step is None or not str(error).startswith("checkpoints:"):
            raise
        follower.note("The checkpoint does not fit any more; training begins anew")
        shutil.rmtree(checkpoints, ignore_errors=True)
        follower.begin_again()
        ended = run_command_in(follower, arguments)
    follower.store_rest()
    return paths, ended.peak_memory_mb


def _is_saved(target: Path) -> bool:
    try:
        Artifact.open(target)
    except ArtifactError:
        return False
    return True


def _end(follower: GroupFollower, state: str, *, code: str = "", message: str = "") -> None:
    follower.store_rest()
    with organisation_scope(organisation_of(follower.run)):
        for run in follower.runs:
            run_ended(run=run, state=state, error_code=code, error=message, log=follower.log())
