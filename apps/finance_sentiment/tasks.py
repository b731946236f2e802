"""What workers do for the monitor: score, detect, and look whether something was left."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from apps.finance_sentiment import (
    loop_jobs,
    portfolio_jobs,  # noqa: F401 - its kinds of jobs
    understanding_jobs,  # noqa: F401 - its kinds of jobs
)
from apps.finance_sentiment.services import reports, threads
from apps.finance_sentiment.services.alerting import escalation, muting, notifying
from apps.finance_sentiment.services.alerting.sending import Tried, letter_send
from apps.finance_sentiment.services.alerts import mutes_announce
from apps.finance_sentiment.services.detection import detection_run
from apps.finance_sentiment.services.intake import scoring_request
from apps.finance_sentiment.services.requeueing import REQUEUE_TOPIC, documents_requeue
from apps.finance_sentiment.services.scoring import (
    PreparedBatch,
    batch_prepare,
    batch_write,
    detection_request,
)
from apps.finance_sentiment.services.sources.polling import polls_claim, source_poll
from rootstock.outbox.broker import send
from rootstock.outbox.handlers import handler, message_scope, on_dead_letter
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


def _prepare(payload: dict[str, Any]) -> PreparedBatch:
    return batch_prepare(organisation_id=payload["organisation_id"])


@handler("finance.score", queue="ingest", max_attempts=20, prepare=_prepare)
def score(payload: dict[str, Any], batch: PreparedBatch) -> None:
    """Write the batch that `_prepare` has read and classified."""
    batch_write(batch=batch)


def _read_threads(payload: dict[str, Any]) -> threads.ReadBatch:
    return threads.threads_read(organisation_id=payload["organisation_id"])


@handler(threads.TOPIC, queue="ingest", max_attempts=20, prepare=_read_threads)
def thread(payload: dict[str, Any], batch: threads.ReadBatch) -> None:
    """Place the stories that `_read_threads` has read."""
    threads.threads_write(batch=batch)


@handler("finance.detect", queue="ingest", max_attempts=20)
def detect(payload: dict[str, Any]) -> None:
    """Judge the buckets that are closed by now."""
    detection_run()


@handler(REQUEUE_TOPIC)
def requeue(payload: dict[str, Any]) -> None:
    """Score what a newly deployed version can read and none could before."""
    documents_requeue()


@handler(escalation.TOPIC)
def escalate(payload: dict[str, Any]) -> None:
    """Do what is due for a group of alerts."""
    escalation.group_run(payload["group_id"])


@handler(muting.TOPIC)
def mute(payload: dict[str, Any]) -> None:
    """A silence has begun or ended."""
    mutes_announce()


@handler(reports.TOPIC)
def report(payload: dict[str, Any]) -> None:
    """Make and send the daily report that is due."""
    reports.report_due_make()


def _send(payload: dict[str, Any]) -> Tried | None:
    with message_scope():
        letter = notifying.letter_read(payload["notification_id"])
    return None if letter is None else letter_send(letter)


@handler(notifying.TOPIC, prepare=_send)
def notify(payload: dict[str, Any], tried: Tried | None) -> None:
    """Note what came of the try that `_send` made; tries of the schedule are messages of their own."""
    notifying.notification_tried(payload["notification_id"], tried)


def _give_up(topic: str, payload: dict[str, Any], error: str) -> None:
    """A notification that ends every worker is shown as failed."""
    if topic == notifying.TOPIC:
        notifying.notification_give_up(payload["notification_id"], error)


on_dead_letter(_give_up)


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
    for row in call_lookup("finance_due_reports"):
        with organisation_scope(row["organisation_id"]):
            reports.report_request()


@shared_task(name="rootstock.finance.polls_start", ignore_result=True, acks_late=False)
def polls_start() -> None:
    """Hand the sources that are due to the pollers."""
    polls_claim(hand_on=lambda arguments: send("rootstock.finance.poll", arguments, "polling"))


# Acknowledged when it starts: the lease, not the broker, knows what is still to be done.
@shared_task(name="rootstock.finance.poll", ignore_result=True, acks_late=False)
def poll(organisation_id: str, source_id: str, token: str) -> None:
    """Ask one source."""
    source_poll(organisation_id=organisation_id, source_id=source_id, token=token)


@shared_task(name="rootstock.finance.loop_clock", ignore_result=True)
def loop_clock() -> None:
    """Request what the loop's clock makes due."""
    loop_jobs.due_request()
