"""Windows of live texts for the drift test: collected where predictions are logged, judged in the background."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection

from rootstock.modelhub.models import (
    Deployment,
    DriftBaseline,
    DriftRow,
    DriftWindow,
    ModelVersion,
    MonitorPolicy,
)

WINDOW = 500
BASELINE_ROWS = 1000
# A busy deployment is judged this often, and in between not a text is kept.
PAUSE = timedelta(minutes=10)
# What models read of a text; the rest says nothing more about its topic.
TEXT_CHARACTERS = 2000
EXAMPLES_KEPT = 5


@dataclass(frozen=True)
class LiveText:
    """A text and what the deployed version said of it."""

    text: str
    language: str
    label: str
    confidence: float


@dataclass(frozen=True)
class DriftTask:
    """Work for the background: the texts of a window or baseline that is full, with what they are compared with.

    Without `baseline` one is made of `rows`, or of the version's snapshot if `source` says so.
    """

    deployment_id: uuid.UUID
    version_id: uuid.UUID
    languages: tuple[str, ...]
    rows: tuple[DriftRow, ...]
    baseline: DriftBaseline | None
    source: str
    snapshot_path: str = ""


@dataclass(frozen=True)
class DriftDone:
    """What came of a task: a new baseline, a verdict on the window, or both."""

    task: DriftTask
    baseline: dict[str, Any] | None = None
    window: dict[str, Any] | None = None


# How many rows wait, whether a baseline is there, and whether the last window was judged a moment ago.
_STATE = """
    SELECT (SELECT count(*) FROM modelhub_driftrow WHERE deployment_id = %(deployment)s AND version_id = %(version)s),
           EXISTS (SELECT 1 FROM modelhub_driftbaseline
                   WHERE deployment_id = %(deployment)s AND version_id = %(version)s),
           EXISTS (SELECT 1 FROM modelhub_driftwindow
                   WHERE deployment_id = %(deployment)s AND version_id = %(version)s
                     AND created_at > now() - make_interval(secs => %(pause)s))
"""


def drift_collect(
    *, deployment_id: uuid.UUID, version_id: uuid.UUID, texts: Sequence[LiveText]
) -> None:
    """Keep texts until the window is full; later ones are passed over until it is judged and a pause is over."""
    if not texts:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _STATE,
            {
                "deployment": deployment_id,
                "version": version_id,
                "pause": PAUSE.total_seconds(),
            },
        )
        waiting, has_baseline, paused = cursor.fetchone()
    room = (WINDOW if has_baseline else BASELINE_ROWS) - waiting
    if paused or room <= 0:
        return
    DriftRow.objects.bulk_create(
        DriftRow(
            deployment_id=deployment_id,
            version_id=version_id,
            text=each.text[:TEXT_CHARACTERS],
            length=len(each.text),
            language=each.language[:10],
            label=each.label,
            confidence=each.confidence,
        )
        for each in texts[:room]
    )


def drift_tasks() -> list[DriftTask]:
    """What is to be judged now. Rows of versions that are deployed no longer are removed."""
    tasks: list[DriftTask] = []
    deployed = Deployment.objects.select_related("version__snapshot").defer("version__card")
    policies = dict(MonitorPolicy.objects.values_list("deployment", "drift_source"))
    for slot in deployed:
        DriftRow.objects.filter(deployment_id=slot.pk).exclude(version_id=slot.version_id).delete()
        source = policies.get(slot.name, DriftBaseline.Source.LIVE)
        snapshot = slot.version.snapshot
        if snapshot is None:
            source = DriftBaseline.Source.LIVE
        baseline = DriftBaseline.objects.filter(
            deployment=slot, version=slot.version, source=source
        ).first()
        from_live = baseline is None and source == DriftBaseline.Source.LIVE
        needed = BASELINE_ROWS if from_live else WINDOW
        rows = DriftRow.objects.filter(deployment_id=slot.pk, version_id=slot.version_id)
        chosen = tuple(rows.order_by("id")[:needed])
        if len(chosen) < needed:
            continue
        tasks.append(
            DriftTask(
                deployment_id=slot.pk,
                version_id=slot.version_id,
                languages=tuple(slot.version.languages),
                rows=chosen,
                baseline=baseline,
                source=source,
                snapshot_path=snapshot.path if snapshot is not None else "",
            )
        )
    return tasks


def drift_store(*, done: DriftDone) -> DriftWindow | None:
    """Keep a baseline and a verdict, and begin the next window. Nothing of a version that was replaced meanwhile."""
    task = done.task
    slot = Deployment.objects.filter(pk=task.deployment_id, version_id=task.version_id).first()
    if slot is None:
        return None
    # Whoever else judged the same rows was first.
    removed, _by = DriftRow.objects.filter(pk__in=[row.pk for row in task.rows]).delete()
    if removed < len(task.rows):
        return None
    DriftRow.objects.filter(deployment_id=slot.pk).delete()
    version = ModelVersion.objects.only("pk").get(pk=task.version_id)
    if done.baseline is not None:
        DriftBaseline.objects.update_or_create(
            deployment=slot,
            version=version,
            defaults={"source": task.source, **done.baseline},
        )
    if done.window is None:
        return None
    return DriftWindow.objects.create(
        deployment=slot,
        version=version,
        rows=len(task.rows),
        started_at=task.rows[0].created_at,
        ended_at=task.rows[-1].created_at,
        **done.window,
    )
