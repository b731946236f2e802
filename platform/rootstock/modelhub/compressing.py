"""Compression: a smaller, faster version is made from a version, measured, registered as its child and checked."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ml_core.compression import CompressionConfig, parse_steps
from ml_core.registry import Artifact, ArtifactError
from ml_core.training import ConfigError
from rootstock.common.actors import Actor
from rootstock.jobs.models import TERMINAL, Job
from rootstock.jobs.services import job_create
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import Dataset, ModelVersion, Split, Task
from rootstock.modelhub.run_inputs import measured_part, part_sizes, unlabelled_texts_file
from rootstock.modelhub.run_progress import OnProgress
from rootstock.modelhub.selectors import gate_job
from rootstock.modelhub.services.answers import ANSWERS_FILE, answers_keep, answers_store
from rootstock.modelhub.services.events import record
from rootstock.modelhub.services.gate import gate_start
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.versions import version_register
from rootstock.modelhub.storage import (
    StorageProblem,
    StoreUnavailable,
    absolute_path,
    local_artifact,
    relative_path,
)
from rootstock.modelhub.training_process import Ended, TrainingFailed, run_command
from rootstock.tenancy.scope import organisation_scope

COMPRESS_JOB = "modelhub.compress"
QUEUE = "training"
TASKS = frozenset({
    Task.TEXT_CLASSIFICATION, Task.MULTI_LABEL_CLASSIFICATION, Task.TOKEN_CLASSIFICATION, Task.TEXT_EMBEDDING,
    Task.RERANKING,
})  # fmt: skip
COMPRESS = gettext_noop("Compress")
TEST = gettext_noop("Evaluate on the test part")
REGISTER = gettext_noop("Register the version")
# Part of the whole that the steps take.
_STEPS_PART = 0.9


@dataclass(frozen=True)
class Recipe:
    """A chain that suits most models: what it is called, what it means, and its steps."""

    key: str
    title: str
    note: str
    steps: tuple[str, ...]


RECIPES = (
    Recipe(
        "int8",
        gettext_noop("int8"),
        gettext_noop("No training: the same network in int8 with fewer tokens. Minutes."),
        ("vocabulary", "fp16", "int8"),
    ),
    Recipe(
        "half",
        gettext_noop("Half"),
        gettext_noop("Half of the feed-forward neurons and a quarter of the heads go; distilled."),
        ("vocabulary", "heads:0.75", "neurons:0.5", "distil:5", "fp16", "int8"),
    ),
    Recipe(
        "quarter",
        gettext_noop("A quarter"),
        gettext_noop(
            "Half of the heads and three quarters of the neurons go; distilled for longer."
        ),
        ("vocabulary", "heads:0.5", "neurons:0.25", "distil:10", "fp16", "int8"),
    ),
)


def compression_start(
    *,
    version: ModelVersion,
    actor: Actor,
    steps: tuple[str, ...] = (),
    search: bool = False,
    max_loss: float | None = None,
    unlabelled: Dataset | None = None,
) -> Job:
    """Start the job that makes a smaller version of `version` on its own snapshot.

    `steps` are those of `ml_core.compression` ("neurons:0.5"); with `search` a grid of them is tried and the fastest
    within `max_loss` kept. `unlabelled` is a data set whose texts without an answer are learned from as well.

    Raises:
        Conflict: the same is under way.
        ModelhubError: the task or the version cannot be compressed, or a step is none.
    """
    if version.task not in TASKS:
        raise _bad("version", _("Models for this task cannot be compressed."))
    if version.snapshot is None or not all(
        part_sizes(version.snapshot)[str(part)] for part in (Split.TRAIN, Split.VALIDATION)
    ):
        raise _bad("version", _("It belongs to no snapshot with a training and a validation part."))
    if unlabelled is not None and unlabelled.task != version.task:
        raise _bad("unlabelled", _("The data set is for another task than the version."))
    _check_steps(steps, search=search, max_loss=max_loss)
    params: dict[str, Any] = {
        "version": str(version.pk),
        "steps": list(steps),
        "search": search,
        "max_loss": max_loss,
        "unlabelled": str(unlabelled.pk) if unlabelled else None,
    }
    lock_name("compress", str(version.pk))
    if compression_job(version) is not None:
        raise Conflict("compress-running", _("This version is being compressed already."))
    job = job_create(
        kind=COMPRESS_JOB,
        title=_("Compress %(version)s") % {"version": version.label},
        params=params,
        actor=actor,
        queue=QUEUE,
    )
    record(
        actor=actor,
        action="models.compression.start",
        target=version.label,
        target_id=version.pk,
        changes={key: value for key, value in params.items() if key != "version"},
        event={"label": version.label, "job": str(job.pk)},
    )
    return job


def compression_job(version: ModelVersion) -> Job | None:
    """The job that compresses a version at this moment."""
    jobs = Job.objects.filter(kind=COMPRESS_JOB, params__version=str(version.pk))
    return jobs.exclude(state__in=TERMINAL).order_by("-id").first()


def execute_compression(
    *,
    organisation_id: uuid.UUID,
    job_id: uuid.UUID,
    params: Mapping[str, Any],
    actor: Actor,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Compress, evaluate, register, and have the gate look at it. Call it outside any transaction.

    It may be called again after a crash, and the same compression may be started again after it was stopped: it goes
    on after its last whole step, a distillation from its last checkpoint.

    Raises:
        TrainingFailed: with a message for people, as where more is lost than may be.
    """
    with organisation_scope(organisation_id):
        version = ModelVersion.objects.select_related("snapshot__dataset").get(pk=params["version"])
    snapshot = version.snapshot
    assert snapshot is not None  # noqa: S101 - checked when it was started
    path = relative_path(organisation_id, "versions", str(job_id))
    made = _registered(organisation_id, path)
    if made is not None:
        return made
    home = Path(settings.VAR) / "training" / f"compress-{_key(params)}"
    attempt = home / "attempt-1"
    shutil.rmtree(attempt, ignore_errors=True)
    attempt.mkdir(parents=True)
    target = absolute_path(path)
    options = _options(version, params, home=home, target=target)
    _compress(options, attempt, StepFollower(on_progress))
    on_progress(_STEPS_PART, TEST, "")
    part = measured_part(snapshot)
    data = absolute_path(snapshot.path) / f"{part}.jsonl"
    answers = attempt / ANSWERS_FILE
    ended = _run(
        ["evaluate", str(target), "--data", str(data), "--answers", str(answers)],
        attempt,
        lambda: on_progress(_STEPS_PART, TEST, ""),
    )
    report = json.loads(ended.output.strip().splitlines()[-1])
    try:
        kept = answers_keep(organisation_id, answers)
    except StoreUnavailable as error:
        raise TrainingFailed("artifact", str(error)) from error
    on_progress(0.99, REGISTER, "")
    artifact = Artifact.open(target, verify=False)
    with organisation_scope(organisation_id):
        child = version_register(
            name=version.name,
            artifact_path=path,
            actor=actor,
            snapshot=snapshot,
            parent=version,
            metrics={"validation": artifact.manifest.metrics} | {part: report},
        )
        answers_store(version=child, snapshot=snapshot, split=part, kept=kept)
        if gate_job(child, child.name) is None:
            gate_start(version=child, deployment=child.name, actor=actor)
    shutil.rmtree(home, ignore_errors=True)
    return _result(child, artifact)


class StepFollower:
    """Reads the progress file of a compression on and tells how far the whole is."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._fraction = 0.0
        self._words = ""

    def tick(self, file: Path) -> None:
        """Pass on the last whole line."""
        lines = file.read_bytes().split(b"\n")[:-1] if file.is_file() else []
        if lines:
            told = json.loads(lines[-1])
            within = told["step"] / told["total_steps"] if told["total_steps"] else 0.0
            done = (told["number"] - 1 + within) / max(1, told["count"])
            self._fraction = max(self._fraction, _STEPS_PART * min(1.0, done))
            self._words = f"{told['name']} ({told['number']}/{told['count']})"
        self._on_progress(self._fraction, COMPRESS, self._words)


def _compress(options: Mapping[str, Any], attempt: Path, follower: StepFollower) -> None:
    """Write the smaller artefact, unless an earlier attempt has."""
    target = Path(options["out"])
    try:
        Artifact.open(target)
    except ArtifactError:
        shutil.rmtree(target, ignore_errors=True)
    else:
        return
    config, progress = attempt / "config.yaml", attempt / "progress.jsonl"
    # JSON is YAML.
    config.write_text(json.dumps(options, ensure_ascii=False), encoding="utf-8")
    _run(
        ["compress", "--config", str(config), "--progress-file", str(progress)],
        attempt,
        lambda: follower.tick(progress),
    )


def _options(
    version: ModelVersion, params: Mapping[str, Any], *, home: Path, target: Path
) -> dict[str, Any]:
    """What `ml_core compress` is told. Call it outside any transaction."""
    assert version.snapshot is not None  # noqa: S101 - checked when it was started
    try:
        source = local_artifact(version.artifact_path, version.digest)
    except StorageProblem as error:
        raise TrainingFailed("artifact", str(error)) from error
    files = absolute_path(version.snapshot.path)
    options: dict[str, Any] = {
        "model": str(source),
        "data": str(files / f"{Split.TRAIN}.jsonl"),
        "validation": str(files / f"{Split.VALIDATION}.jsonl"),
        "out": str(target),
        "checkpoints": str(home / "checkpoints"),
        "search": params["search"],
        "max_loss": params["max_loss"],
    }
    if params["steps"]:
        options["steps"] = params["steps"]
    if params["unlabelled"]:
        options["unlabelled"] = unlabelled_texts_file(
            uuid.UUID(str(version.organisation_id)),
            uuid.UUID(params["unlabelled"]),
            home / "inputs",
        )
    return options


def _run(arguments: list[str], directory: Path, tick: Any) -> Ended:
    return run_command(
        arguments, directory=directory, memory_mb=settings.TRAINING_MEMORY_MB, tick=tick
    )


def _registered(organisation_id: uuid.UUID, path: str) -> dict[str, Any] | None:
    """What an earlier attempt of the job has come to."""
    with organisation_scope(organisation_id):
        version = ModelVersion.objects.filter(artifact_path=path).first()
    if version is None:
        return None
    return _result(version, Artifact.open(absolute_path(path), verify=False))


def _result(version: ModelVersion, artifact: Artifact) -> dict[str, Any]:
    found = artifact.manifest.options["compression"]
    keys = ("loss", "times_smaller", "times_faster", "times_throughput")
    return {"version": str(version.pk), "label": version.label} | {key: found[key] for key in keys}


def _key(params: Mapping[str, Any]) -> str:
    """Equal for equal compressions, so that one that was stopped is found again."""
    return hashlib.sha256(json.dumps(dict(params), sort_keys=True).encode()).hexdigest()[:24]


def _check_steps(steps: tuple[str, ...], *, search: bool, max_loss: float | None) -> None:
    try:
        if not search:
            parse_steps(steps)
        given = {"model": "m", "data": "d", "out": "o", "search": search, "max_loss": max_loss}
        CompressionConfig.from_mapping(given | {"steps": list(steps)})
    except ConfigError as error:
        name = str(error).partition(":")[0]
        raise _bad(name if name in {"steps", "max_loss"} else "steps", str(error)) from error


def _bad(place: str, problem: str) -> ModelhubError:
    return ModelhubError("invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}])
