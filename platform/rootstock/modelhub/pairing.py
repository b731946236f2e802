"""The job of a comparison: both versions answer the same rows, and their scores are drawn together."""

from __future__ import annotations

import json
import math
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ml_core.data import row_messages
from ml_core.evaluation import Difference, chrf, compare_labels, entity_spans, paired_bootstrap
from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.modelhub.models import ModelVersion, Snapshot, Task
from rootstock.modelhub.run_progress import OnProgress
from rootstock.modelhub.services.comparisons import comparison_store
from rootstock.modelhub.storage import StorageProblem, absolute_path, local_artifact
from rootstock.modelhub.training_process import TrainingFailed, run_command
from rootstock.tenancy.scope import organisation_scope

ANSWER = gettext_noop("Let both answer")
DRAW = gettext_noop("Draw samples")

Rows = list[dict[str, Any]]


def execute_comparison(
    *,
    organisation_id: uuid.UUID,
    first_id: uuid.UUID,
    second_id: uuid.UUID,
    snapshot_id: uuid.UUID,
    split: str,
    actor: Actor,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Compare two versions on a part of a snapshot and keep what was found. Call it outside any transaction.

    Raises:
        TrainingFailed: a version cannot answer these rows; the message is for people.
    """
    with organisation_scope(organisation_id):
        versions = [ModelVersion.objects.get(pk=pk) for pk in (first_id, second_id)]
        snapshot = Snapshot.objects.select_related("dataset").get(pk=snapshot_id)
    data = absolute_path(snapshot.path) / f"{split}.jsonl"
    if not data.is_file():
        raise TrainingFailed("bad-input", _("The files of the snapshot are not on this machine."))
    truth: Rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    answers = []
    for place, version in enumerate(versions):
        on_progress(0.05 + 0.4 * place, ANSWER, version.label)
        answers.append(_answers(version, data, on_progress, 0.05 + 0.4 * place))
    on_progress(0.9, DRAW, "")
    differences = compare_answers(snapshot.dataset.task, truth, *answers)
    with organisation_scope(organisation_id):
        row = comparison_store(
            first=versions[0],
            second=versions[1],
            snapshot=snapshot,
            split=split,
            count=len(truth),
            differences=differences,
            actor=actor,
        )
    return {"comparison": str(row.pk), "differences": differences}


def compare_answers(task: str, truth: Rows, first: Rows, second: Rows) -> dict[str, Any]:
    """By figure: both scores, second minus first, its 95 % interval and the p-value of "equally good"."""
    if task in (Task.TEXT_CLASSIFICATION, Task.IMAGE_CLASSIFICATION):
        labels = [[str(row["label"]) for row in rows] for rows in (truth, first, second)]
        found = compare_labels(*labels)
    else:
        name, scores, statistic = _SCORES[Task(task)]
        pairs = [
            np.array([scores(true, said) for true, said in zip(truth, rows, strict=True)], float)
            for rows in (first, second)
        ]
        found = {name: paired_bootstrap(pairs[0], pairs[1], statistic)}
    return {name: _plain(difference) for name, difference in found.items()}


def _answers(version: ModelVersion, data: Path, on_progress: OnProgress, share: float) -> Rows:
    try:
        artifact = local_artifact(version.artifact_path, version.digest)
    except StorageProblem as error:
        raise TrainingFailed("artifact", str(error)) from error
    directory = Path(settings.VAR) / "training" / f"compare-{uuid7()}"
    directory.mkdir(parents=True)
    try:
        ended = run_command(
            ["predict", str(artifact), "--data", str(data)],
            directory=directory,
            memory_mb=settings.TRAINING_MEMORY_MB,
            tick=lambda: on_progress(share, ANSWER, version.label),
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return [json.loads(line) for line in ended.output.splitlines()]


def _plain(difference: Difference) -> dict[str, float | None]:
    values = {
        "first": difference.first,
        "second": difference.second,
        "difference": difference.difference,
        "low": difference.interval.low,
        "high": difference.interval.high,
        "p_value": difference.p_value,
    }
    return {
        key: round(float(value), 6) if math.isfinite(value) else None
        for key, value in values.items()
    }


def _sets(true: Mapping[str, Any], said: Mapping[str, Any]) -> Sequence[float]:
    """Right, said and true labels of a row."""
    right = set(true["labels"]) & set(said["labels"])
    return (len(right), len(said["labels"]), len(true["labels"]))


def _entities(true: Mapping[str, Any], said: Mapping[str, Any]) -> Sequence[float]:
    """Right, said and true entities of a sentence."""
    theirs, ours = set(entity_spans(true["tags"])), set(entity_spans(said["tags"]))
    return (len(theirs & ours), len(ours), len(theirs))


def _spans(true: Mapping[str, Any], said: Mapping[str, Any]) -> Sequence[float]:
    """Rightly labelled spans and all spans of a text."""
    right = [ours == theirs for ours, theirs in zip(said["labels"], true["labels"], strict=True)]
    return (sum(right), len(right))


def _reply(true: Mapping[str, Any], said: Mapping[str, Any]) -> Sequence[float]:
    reference = true.get("response") or row_messages(dict(true))[-1]["content"]
    return (chrf([str(said["response"])], [reference]), 1.0)


def _f1(sums: np.ndarray) -> np.ndarray:
    both = sums[..., 1] + sums[..., 2]
    empty = np.zeros_like(both)
    return np.asarray(np.divide(2 * sums[..., 0], both, out=empty, where=both > 0))


def _mean(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., 0] / sums[..., 1])


Scores = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[float]]
_SCORES: dict[Task, tuple[str, Scores, Callable[[np.ndarray], np.ndarray]]] = {
    Task.MULTI_LABEL_CLASSIFICATION: ("micro_f1", _sets, _f1),
    Task.TOKEN_CLASSIFICATION: ("f1", _entities, _f1),
    Task.SPAN_CLASSIFICATION: ("accuracy", _spans, _mean),
    Task.TEXT_GENERATION: ("chrf", _reply, _mean),
}
