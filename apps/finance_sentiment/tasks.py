"""What workers do for the monitor: score, detect, and look whether something was left."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from apps.finance_sentiment.services.detection import detection_run
from apps.finance_sentiment.services.intake import scoring_request
from apps.finance_sentiment.services.requeueing import REQUEUE_TOPIC, documents_requeue
from apps.finance_sentiment.services.scoring import (
    PreparedBatch,
    batch_prepare,
    batch_write,
    detection_request,
)
from rootstock.outbox.handlers import handler
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


def _prepare(payload: dict[str, Any]) -> PreparedBatch:
    return batch_prepare(organisation_id=payload["organisation_id"])


@handler("finance.score", queue="ingest", max_attempts=20, prepare=_prepare)
def score(payload: dict[str, Any], batch: PreparedBatch) -> None:
    """Write the batch that `_prepare` has read and classified."""
    batch_write(batch=batch)


@handler("finance.detect", queue="ingest", max_attempts=20)
def detect(payload: dict[str, Any]) -> None:
    """Judge the buckets that are closed by now."""
    detection_run()


@handler(REQUEUE_TOPIC)
def requeue(payload: dict[str, Any]) -> None:
    """Score what a newly deployed version can read and none could before."""
    documents_requeue()


@shared_task(name="rootstock.finance.tick", ignore_result=True)
def tick() -> None:
    """Request what time alone makes due: buckets to close, documents whose message was lost."""
    for row in call_lookup("finance_due_organisations"):
        if not row["detect"] and not row["score"]:
            continue
        with organisation_scope(row["organisation_id"]):
            if row["score"]:
                scoring_request()
            if row["detect"]:
                detection_request()
