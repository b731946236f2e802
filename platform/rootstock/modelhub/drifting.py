"""Judging windows of live texts, outside any transaction: vectors from the inference process, then the drift test."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np

from ml_core.detection import DriftError, DriftReference, DriftRows
from ml_core.text import detect_language
from rootstock.modelhub.inference import InferenceUnavailable, ModelUnusable, embed_texts
from rootstock.modelhub.models import DriftBaseline, DriftRow, Split
from rootstock.modelhub.services.drift import (
    BASELINE_ROWS,
    EXAMPLES_KEPT,
    TEXT_CHARACTERS,
    DriftDone,
    DriftTask,
    drift_tasks,
)
from rootstock.modelhub.storage import absolute_path
from rootstock.outbox.handlers import message_scope

logger = logging.getLogger(__name__)


def drift_judge(_payload: dict[str, Any]) -> list[DriftDone]:
    """Judge every window of the organisation that is full. One that cannot be judged now waits for the next time."""
    with message_scope():
        tasks = drift_tasks()
    done = []
    for task in tasks:
        try:
            done.append(_judged(task))
        except (InferenceUnavailable, ModelUnusable, OSError, DriftError) as error:
            logger.warning("drift of deployment %s is not judged: %s", task.deployment_id, error)
    return done


def _judged(task: DriftTask) -> DriftDone:
    texts = [row.text for row in task.rows]
    vectors, encoder = embed_texts(texts, languages=task.languages)
    rows = _described(task.rows, vectors)
    baseline = task.baseline
    if baseline is not None and baseline.encoder == encoder:
        reference = DriftReference.from_bytes(bytes(baseline.reference))
        return DriftDone(task, window=_verdict(reference, rows, task))
    if task.source == DriftBaseline.Source.SNAPSHOT:
        reference, made = _of_snapshot(task, encoder)
        return DriftDone(task, baseline=made, window=_verdict(reference, rows, task))
    reference = DriftReference.fit(rows)
    return DriftDone(task, baseline=_kept(reference, encoder))


def _kept(reference: DriftReference, encoder: str) -> dict[str, Any]:
    return {"rows": reference.rows, "encoder": encoder, "reference": reference.to_bytes()}


def _of_snapshot(task: DriftTask, encoder: str) -> tuple[DriftReference, dict[str, Any]]:
    """The texts that the version was trained on. Its answers to them are no measure: it has learnt them by heart."""
    path = absolute_path(task.snapshot_path) / f"{Split.TRAIN}.jsonl"
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, 20 * BASELINE_ROWS)]
    step = max(1, len(rows) // BASELINE_ROWS)
    texts = [str(row.get("text", "")) for row in rows[::step][:BASELINE_ROWS]]
    vectors, _encoder = embed_texts(
        [text[:TEXT_CHARACTERS] for text in texts], languages=task.languages
    )
    reference = DriftReference.fit(
        DriftRows(
            vectors=vectors,
            lengths=np.array([len(text) for text in texts], dtype=float),
            languages=[detect_language(text) for text in texts],
        )
    )
    return reference, _kept(reference, encoder)


def _described(rows: Sequence[DriftRow], vectors: np.ndarray) -> DriftRows:
    return DriftRows(
        vectors=vectors,
        lengths=np.array([row.length for row in rows], dtype=float),
        languages=[row.language or detect_language(row.text) for row in rows],
        labels=[row.label for row in rows],
        confidences=np.array([row.confidence for row in rows]),
    )


def _verdict(reference: DriftReference, rows: DriftRows, task: DriftTask) -> dict[str, Any]:
    """The columns of a `DriftWindow`."""
    window = reference.summarise(rows)
    verdict = reference.judge(window)
    return {
        "drifted": verdict.drifted,
        "signals": [asdict(signal) for signal in verdict.signals],
        "examples": [
            {
                "text": task.rows[place].text[:300],
                "label": task.rows[place].label,
                "confidence": round(task.rows[place].confidence, 4),
                "language": task.rows[place].language,
            }
            for place in reference.outstanding(rows, window, EXAMPLES_KEPT)
        ]
        if verdict.drifted
        else [],
    }
