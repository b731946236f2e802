"""Active learning: which unlabelled texts would teach a model most, as the order in which people are asked."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ml_core.data import write_rows
from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_create
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import Dataset, DatasetExample, ModelVersion, Task
from rootstock.modelhub.run_progress import OnProgress
from rootstock.modelhub.services.annotation import set_uncertainties
from rootstock.modelhub.services.events import record
from rootstock.modelhub.storage import StorageProblem, local_artifact
from rootstock.modelhub.training_process import TrainingFailed, run_command
from rootstock.tenancy.scope import organisation_scope

SELECT_JOB = "modelhub.select"
QUEUE = "training"
# The first is the default: uncertain and unlike each other.
STRATEGIES = (
    "badge",
    "cluster-margin",
    "margin",
    "entropy",
    "least-confidence",
    "core-set",
    "random",
)
TASKS = frozenset({Task.TEXT_CLASSIFICATION, Task.MULTI_LABEL_CLASSIFICATION})
# Of the newest texts without a label; more take longer than they teach.
MOST_READ = 50_000
READ = gettext_noop("Read the texts")
ORDER = gettext_noop("Put the texts in order")
_CHUNK = 2000


def selection_start(
    *,
    version: ModelVersion,
    dataset: Dataset,
    actor: Actor,
    count: int = 100,
    strategy: str = STRATEGIES[0],
) -> Job:
    """Start the job that finds the unlabelled texts of `dataset` whose labels would teach `version` most.

    Queues that ask for the most uncertain first then ask for these, the best one first.

    Raises:
        ModelhubError: the task has no such order, differs, or nothing waits for a label.
    """
    problem, place = "", "dataset"
    if version.task not in TASKS:
        problem, place = _("Only for models that give texts labels."), "version"
    elif dataset.task != version.task:
        problem = _("The data set is for another task than the version.")
    elif not _waiting(dataset).exists():
        problem = _("Every text of this data set has a label.")
    if problem:
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}]
        )
    job = job_create(
        kind=SELECT_JOB,
        title=_("Texts of %(dataset)s that would teach %(version)s most")
        % {"dataset": dataset.name, "version": version.label},
        params={
            "version": str(version.pk),
            "dataset": str(dataset.pk),
            "count": count,
            "strategy": strategy,
        },
        actor=actor,
        queue=QUEUE,
    )
    record(
        actor=actor,
        action="models.selection.start",
        target=dataset.name,
        target_id=dataset.pk,
        changes={"version": version.label, "count": count, "strategy": strategy},
        event={"version": version.label, "job": str(job.pk)},
    )
    return job


def execute_selection(
    *,
    organisation_id: uuid.UUID,
    version_id: uuid.UUID,
    dataset_id: uuid.UUID,
    count: int,
    strategy: str,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Choose and store the order. Call it outside any transaction; it may be called again after a crash.

    Raises:
        TrainingFailed: the model cannot be had or does not fit; the message is for people.
    """
    directory = Path(settings.VAR) / "training" / f"select-{uuid7()}"
    directory.mkdir(parents=True)
    try:
        with organisation_scope(organisation_id):
            version = ModelVersion.objects.get(pk=version_id)
            dataset = Dataset.objects.get(pk=dataset_id)
            on_progress(0.05, READ, dataset.name)
            ids = _write(dataset, directory / "texts.jsonl")
        if not ids:
            return {"dataset": str(dataset_id), "chosen": 0}
        try:
            artifact = local_artifact(version.artifact_path, version.digest)
        except StorageProblem as error:
            raise TrainingFailed("artifact", str(error)) from error
        ended = run_command(
            [
                "select", str(artifact), "--data", str(directory / "texts.jsonl"),
                "--count", str(min(count, len(ids))), "--strategy", strategy,
            ],
            directory=directory,
            memory_mb=settings.TRAINING_MEMORY_MB,
            tick=lambda: on_progress(0.2, ORDER, f"{len(ids):,}"),
        )  # fmt: skip
        lines = [json.loads(line)["line"] for line in ended.output.splitlines()]
        # The best one first: what is asked first has the highest score.
        scores = {ids[line - 1]: 1 - place / len(lines) for place, line in enumerate(lines)}
        with organisation_scope(organisation_id):
            # Scores of an earlier model say nothing beside these.
            DatasetExample.objects.filter(dataset=dataset, uncertainty__isnull=False).update(
                uncertainty=None
            )
            chosen = set_uncertainties(dataset, scores)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return {"dataset": str(dataset_id), "chosen": chosen}


def _waiting(dataset: Dataset) -> Any:
    return DatasetExample.objects.filter(dataset=dataset, labelled=False).order_by("-id")


def _write(dataset: Dataset, path: Path) -> list[uuid.UUID]:
    """The ids of the texts in the order of the lines."""
    ids: list[uuid.UUID] = []

    def rows() -> Iterator[dict[str, str]]:
        for pk, text in _waiting(dataset).values_list("pk", "text")[:MOST_READ].iterator(_CHUNK):
            ids.append(pk)
            yield {"text": text}

    write_rows(path, rows())
    return ids
