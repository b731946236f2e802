"""Two versions on the same rows: the paired bootstrap of their answers, in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from rootstock.common.actors import Actor
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_create
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import Comparison, ModelVersion, Snapshot, Split, Task
from rootstock.modelhub.run_inputs import measured_part, part_sizes
from rootstock.modelhub.services.events import authored, record

COMPARE_JOB = "modelhub.compare"
QUEUE = "training"
# Tasks whose answers can be paired row by row.
TASKS = frozenset({
    Task.TEXT_CLASSIFICATION, Task.IMAGE_CLASSIFICATION, Task.MULTI_LABEL_CLASSIFICATION, Task.TOKEN_CLASSIFICATION,
    Task.SPAN_CLASSIFICATION, Task.TEXT_GENERATION,
})  # fmt: skip


def comparison_start(
    *,
    first: ModelVersion,
    second: ModelVersion,
    actor: Actor,
    snapshot: Snapshot | None = None,
    split: str | None = None,
) -> Job:
    """Start the job that lets both versions answer the same rows and says how sure their difference is.

    Without `snapshot` the rows are those of the first version's own.

    Raises:
        ModelhubError: versions of different tasks, of one whose answers cannot be paired, or a part without rows.
    """
    snapshot = snapshot or first.snapshot
    if first.pk == second.pk:
        raise _refused("second", _("Name two versions."))
    if first.task != second.task:
        raise _refused("second", _("The versions are for different tasks."))
    if first.task not in TASKS:
        raise _refused("first", _("The answers of this task cannot be compared row by row."))
    if snapshot is None:
        raise _refused("snapshot", _("The first version has no snapshot; name one."))
    if snapshot.dataset.task != first.task:
        raise _refused("snapshot", _("The snapshot is for another task than the version."))
    split = split or measured_part(snapshot)
    if not part_sizes(snapshot)[split]:
        raise _refused("split", _("The snapshot has no examples in this part."))
    job = job_create(
        kind=COMPARE_JOB,
        title=_("Compare %(second)s with %(first)s")
        % {"second": second.label, "first": first.label},
        params={
            "first": str(first.pk),
            "second": str(second.pk),
            "snapshot": str(snapshot.pk),
            "split": split,
        },
        actor=actor,
        queue=QUEUE,
    )
    record(
        actor=actor,
        action="models.comparison.start",
        target=f"{first.label}, {second.label}",
        target_id=second.pk,
        changes={"snapshot": snapshot.content_hash, "split": split},
        event={"job": str(job.pk)},
    )
    return job


def comparison_store(
    *,
    first: ModelVersion,
    second: ModelVersion,
    snapshot: Snapshot,
    split: str,
    count: int,
    differences: Mapping[str, Any],
    actor: Actor,
) -> Comparison:
    """Keep what was found, in place of an earlier finding of the same."""
    row, _made = Comparison.objects.update_or_create(
        first=first,
        second=second,
        snapshot=snapshot,
        split=Split(split),
        defaults={"count": count, "differences": dict(differences), **authored(actor)},
    )
    return row


def _refused(place: str, problem: str) -> ModelhubError:
    return ModelhubError("invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}])
