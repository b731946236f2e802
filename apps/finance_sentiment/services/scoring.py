"""From a waiting document to a scored one.

A batch is claimed in a short transaction, read and classified outside any, and written in the
transaction that acknowledges the message. The organisation's lock is held only while writing, so
several workers read and classify batches of one organisation at once.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from apps.finance_sentiment.inference import (
    SENTIMENT,
    Answers,
    InferenceUnavailable,
    ModelUnusable,
    Target,
    read_text,
    targets_resolve,
)
from apps.finance_sentiment.models import Document
from apps.finance_sentiment.selectors.live import document_payloads
from apps.finance_sentiment.services.buckets import buckets_recount
from apps.finance_sentiment.services.claims import (
    MAX_ATTEMPTS,
    documents_claim,
    documents_held,
    documents_release,
)
from apps.finance_sentiment.services.indexing import documents_index
from apps.finance_sentiment.services.intake import scoring_request
from apps.finance_sentiment.services.mentions import (
    kept_references,
    mentions_store,
    novelty_store,
)
from apps.finance_sentiment.services.results import (
    Outcome,
    known_scores,
    models_used,
    outcomes_log,
    outcomes_store,
    score_reuse,
)
from apps.finance_sentiment.services.stories import (
    Telling,
    stories_assign,
    stories_lock,
    stories_refresh,
)
from apps.finance_sentiment.services.understanding import (
    outcome_link,
    outcomes_understand,
    words_read,
)
from apps.finance_sentiment.services.vocabulary import Known, vocabulary_known
from rootstock.modelhub.services.traffic import predictions_failed
from rootstock.outbox.services import outbox_write
from rootstock.realtime.services import event_append_many
from rootstock.tenancy.scope import current_organisation_id, organisation_scope

logger = logging.getLogger(__name__)

BATCH = 64
SMALLEST_BATCH = 8
# Batches in a worker process that models work on at once: one runs, one is ready to run. More would
# only wait in the inference process until their time is up.
SLOTS = 2
RETRY = timedelta(seconds=3)
BUSY = timedelta(seconds=1)


@dataclass(slots=True)
class PreparedBatch:
    """A batch that only has to be written."""

    outcomes: list[Outcome]
    targets: dict[str, Target]
    seconds: float = 0.0
    retry_at: datetime | None = None


class _Pace:
    """How much is asked of the models at once: less after it took too long, more when it goes well."""

    def __init__(self) -> None:
        self.slots = threading.BoundedSemaphore(SLOTS)
        self.batch = BATCH

    def slow_down(self) -> None:
        self.batch = max(SMALLEST_BATCH, self.batch // 2)

    def speed_up(self) -> None:
        self.batch = min(BATCH, self.batch + SMALLEST_BATCH)


_pace = _Pace()


def batch_prepare(*, organisation_id: uuid.UUID | str) -> PreparedBatch:
    """Claim, read and classify the next documents of an organisation. Call outside a transaction.

    When nobody answers for a model the documents are put back and the batch says when to try again;
    so it does when this process is working on enough batches already.
    """
    if not _pace.slots.acquire(blocking=False):
        return PreparedBatch([], {}, retry_at=timezone.now() + BUSY)
    try:
        return _prepare(organisation_id)
    finally:
        _pace.slots.release()


def _prepare(organisation_id: uuid.UUID | str) -> PreparedBatch:
    with organisation_scope(organisation_id):
        claimed = documents_claim(_pace.batch)
        if len(claimed) == _pace.batch:
            # There are probably more: let another worker read them while this one classifies.
            scoring_request()
        targets = targets_resolve() if claimed else {}
        known = vocabulary_known() if claimed else None
    if not claimed or known is None:
        return PreparedBatch([], {})
    outcomes = [
        Outcome(
            document,
            read_text(title=document.title, body=document.body, hint=document.language),
        )
        for document in claimed
    ]
    waiting = [outcome for outcome in outcomes if not _decide_without_model(outcome, targets)]
    if waiting:
        with organisation_scope(organisation_id):
            scores = known_scores({outcome.reading.content_hash for outcome in waiting}, targets)
        waiting = [outcome for outcome in waiting if not score_reuse(outcome, scores)]
    started = timezone.now()
    try:
        outcomes_understand(waiting, targets, known)
    except (InferenceUnavailable, ModelUnusable) as error:
        logger.warning("%d documents stay pending: %s", len(claimed), error)
        _pace.slow_down()
        with organisation_scope(organisation_id):
            documents_release(claimed)
            for target in targets.values():
                predictions_failed(
                    deployment_id=target.deployment_id,
                    version_id=target.version_id,
                    count=sum(each.reading.language in target.languages for each in waiting),
                )
        return PreparedBatch([], {}, retry_at=timezone.now() + RETRY)
    _pace.speed_up()
    _understand_rest([each for each in outcomes if each not in waiting], targets, known)
    return PreparedBatch(outcomes, targets, (timezone.now() - started).total_seconds())


def _understand_rest(
    outcomes: Sequence[Outcome], targets: Mapping[str, Target], known: Known
) -> None:
    """What no model was asked about: mentions by names, also in languages that no model reads."""
    copies = {each.document.id: each.same_as for each in outcomes if each.same_as is not None}
    with organisation_scope(known.organisation):
        kept = kept_references(documents=copies) if copies else {}
    for outcome in outcomes:
        if outcome.status == Document.Status.SCORED:
            outcome.models_used = models_used(targets, outcome.reading.language)
            words_read(outcome, known)
        raw = outcome.reading.raw
        references = kept.get(outcome.document.id, [])
        if references and all(raw[each.start : each.end] == each.surface for each in references):
            outcome.references = references
        elif outcome.reading.has_words and outcome.status != Document.Status.FAILED:
            outcome_link(outcome, Answers(), 0, known)


def batch_write(*, batch: PreparedBatch) -> int:
    """Write a prepared batch: documents, stories, buckets, events. Returns how many were written.

    Documents that changed since, or that another worker has written, are left out.
    """
    if batch.retry_at is not None:
        _request_again(batch.retry_at)
    if not batch.outcomes:
        return 0
    stories_lock()
    current = documents_held(outcome.document for outcome in batch.outcomes)
    outcomes = [outcome for outcome in batch.outcomes if outcome.document.id in current]
    if not outcomes:
        return 0
    assigned = stories_assign(
        tellings=[
            Telling(
                document_id=outcome.document.id,
                title=outcome.document.title,
                published_at=current[outcome.document.id].published_at,
                reading=outcome.reading,
            )
            for outcome in outcomes
        ]
    )
    outcomes_store(outcomes, assigned)
    mentions_store(outcomes=outcomes)
    novelty_store(document_ids=list(assigned))
    documents_index(document_ids=list(assigned))
    before = [row.story_id for row in current.values() if row.story_id is not None]
    moments = stories_refresh(story_ids=[*assigned.values(), *before])
    moments += [row.published_at for row in current.values()]
    moments += [row.counted_at for row in current.values() if row.counted_at is not None]
    buckets_recount(moments=moments)
    outcomes_log(outcomes, batch.targets, batch.seconds)
    detection_request()
    payloads = document_payloads(list(assigned))
    event_append_many("finance.live", [("document.scored", payload) for payload in payloads])
    return len(outcomes)


def detection_request() -> None:
    """Ask a worker to look for surges; requests that nobody has taken yet are one."""
    organisation_id = str(current_organisation_id())
    outbox_write(
        topic="finance.detect",
        payload={"organisation_id": organisation_id},
        coalesce_key=f"finance.detect:{organisation_id}",
        queue="ingest",
    )


def _request_again(at: datetime) -> None:
    organisation_id = str(current_organisation_id())
    outbox_write(
        topic="finance.score",
        payload={"organisation_id": organisation_id},
        coalesce_key=f"finance.score.again:{organisation_id}",
        available_at=at,
        queue="ingest",
    )


def _decide_without_model(outcome: Outcome, targets: Mapping[str, Target]) -> bool:
    """Whether it is known already that no model will read this text."""
    sentiment = targets.get(SENTIMENT)
    if outcome.document.attempts > MAX_ATTEMPTS:
        outcome.status, outcome.reason = Document.Status.FAILED, Document.Reason.GAVE_UP
    elif not outcome.reading.has_words:
        outcome.status, outcome.reason = Document.Status.UNSCORED, Document.Reason.NO_TEXT
    elif sentiment is None:
        outcome.status, outcome.reason = Document.Status.UNSCORED, Document.Reason.NO_MODEL
    elif outcome.reading.language not in sentiment.languages:
        outcome.status, outcome.reason = Document.Status.UNSCORED, Document.Reason.LANGUAGE
    return outcome.status != Document.Status.SCORED
