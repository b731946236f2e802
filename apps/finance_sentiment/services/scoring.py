"""From a waiting document to a scored one.

A batch is claimed in a short transaction, read and classified outside any, and written in the
transaction that acknowledges the message. The organisation's lock is held only while writing, so
several workers read and classify batches of one organisation at once.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.finance_sentiment.inference import (
    SENTIMENT,
    SUBJECT,
    TOPIC,
    DeploymentResult,
    InferenceUnavailable,
    ModelUnusable,
    Prediction,
    Reading,
    Target,
    answering,
    classify_batch,
    read_text,
    targets_resolve,
)
from apps.finance_sentiment.models import Document
from apps.finance_sentiment.selectors.live import document_payloads
from apps.finance_sentiment.services.buckets import buckets_recount
from apps.finance_sentiment.services.intake import scoring_request
from apps.finance_sentiment.services.stories import (
    Telling,
    stories_assign,
    stories_lock,
    stories_refresh,
)
from rootstock.modelhub.services.predictions import Subject, predictions_log
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
# A document that was there this often when a worker died goes alone; after more it is given up.
SUSPECT_ATTEMPTS = 3
MAX_ATTEMPTS = 6
RETRY = timedelta(seconds=3)
BUSY = timedelta(seconds=1)
# A second topic needs this probability; the most probable one is always kept.
SECOND_TOPIC = 0.35


@dataclass(frozen=True, slots=True)
class Claimed:
    """A pending document that this worker has taken."""

    id: uuid.UUID
    revision: int
    title: str
    body: str
    language: str
    attempts: int


@dataclass(slots=True)
class Outcome:
    """What is to be written for one document."""

    document: Claimed
    reading: Reading
    status: str = Document.Status.SCORED
    reason: str = ""
    sentiment: str = ""
    sentiment_probabilities: dict[str, float] | None = None
    topics: list[str] = field(default_factory=list)
    topic_probabilities: dict[str, float] | None = None
    models_used: list[dict[str, str]] = field(default_factory=list)
    predictions: dict[str, Prediction] = field(default_factory=dict)


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
        claimed = _claim(_pace.batch)
        if len(claimed) == _pace.batch:
            # There are probably more: let another worker read them while this one classifies.
            scoring_request()
        targets = targets_resolve() if claimed else {}
    if not claimed:
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
            known = _known_scores({outcome.reading.content_hash for outcome in waiting}, targets)
        waiting = [outcome for outcome in waiting if not _reuse(outcome, known)]
    started = timezone.now()
    try:
        _classify(waiting, targets)
    except (InferenceUnavailable, ModelUnusable) as error:
        logger.warning("%d documents stay pending: %s", len(claimed), error)
        _pace.slow_down()
        with organisation_scope(organisation_id):
            _release(claimed)
            for target in targets.values():
                predictions_failed(
                    deployment_id=target.deployment_id,
                    version_id=target.version_id,
                    count=sum(each.reading.language in target.languages for each in waiting),
                )
        return PreparedBatch([], {}, retry_at=timezone.now() + RETRY)
    _pace.speed_up()
    for outcome in outcomes:
        if outcome.status == Document.Status.SCORED:
            outcome.models_used = _models_used(
                targets, outcome.reading.language, outcome.predictions
            )
    return PreparedBatch(outcomes, targets, (timezone.now() - started).total_seconds())


def batch_write(*, batch: PreparedBatch) -> int:
    """Write a prepared batch: documents, stories, buckets, events. Returns how many were written.

    Documents that changed since, or that another worker has written, are left out.
    """
    if batch.retry_at is not None:
        _request_again(batch.retry_at)
    if not batch.outcomes:
        return 0
    stories_lock()
    current = _still_ours(batch.outcomes)
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
    _store(outcomes, assigned)
    before = [row.story_id for row in current.values() if row.story_id is not None]
    moments = stories_refresh(story_ids=[*assigned.values(), *before])
    moments += [row.published_at for row in current.values()]
    moments += [row.counted_at for row in current.values() if row.counted_at is not None]
    buckets_recount(moments=moments)
    _log_predictions(outcomes, batch)
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


_CLAIM = """
    WITH next AS (
        SELECT id FROM finance_sentiment_document
        WHERE status = 'pending' AND (claimed_until IS NULL OR claimed_until < now())
          AND attempts {attempts}
        ORDER BY id
        LIMIT %s
        FOR UPDATE SKIP LOCKED
    )
    UPDATE finance_sentiment_document document
    SET claimed_until = now() + make_interval(secs => %s), attempts = document.attempts + 1
    FROM next WHERE document.id = next.id
    RETURNING document.id, document.revision, document.title, document.body, document.language,
              document.attempts
"""


def _claim(size: int) -> list[Claimed]:
    """Up to a batch of waiting documents; one that a worker may have died of comes alone.

    A worker that takes longer than a message's lease is taken for dead, and others may claim them.
    """
    with connection.cursor() as cursor:
        for attempts, limit in ((f"< {SUSPECT_ATTEMPTS}", size), (f">= {SUSPECT_ATTEMPTS}", 1)):
            cursor.execute(
                _CLAIM.format(attempts=attempts), [limit, settings.ROOTSTOCK_LEASE_SECONDS]
            )
            rows = cursor.fetchall()
            if rows:
                return sorted((Claimed(*row) for row in rows), key=lambda claimed: claimed.id)
    return []


def _release(claimed: Sequence[Claimed]) -> None:
    """Put documents back that nobody could classify; that does not count as an attempt."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE finance_sentiment_document document
            SET claimed_until = NULL, attempts = document.attempts - 1
            FROM unnest(%s::uuid[], %s::integer[]) AS ours (id, revision)
            WHERE document.id = ours.id AND document.revision = ours.revision
              AND document.status = 'pending' AND document.attempts > 0
            """,
            [[document.id for document in claimed], [document.revision for document in claimed]],
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


def _models_used(
    targets: Mapping[str, Target],
    language: str,
    predictions: Mapping[str, Prediction] | None = None,
) -> list[dict[str, str]]:
    """The versions that read a language; a prediction that a canary made names the canary."""
    used = []
    for name, target in sorted(targets.items()):
        if language in target.languages:
            by = answering(target, (predictions or {}).get(name))
            used.append(
                {
                    "deployment": name,
                    "version_id": str(by.version_id),
                    "version": by.version_label,
                }
            )
    return used


def _known_scores(
    hashes: set[bytes], targets: Mapping[str, Target]
) -> dict[tuple[bytes, str], tuple[Any, ...]]:
    """Scores that the present versions gave to the same texts, by text and language."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (content_hash, language_detected)
                   content_hash, language_detected, models_used,
                   sentiment, sentiment_probabilities, topics, topic_probabilities
            FROM finance_sentiment_document
            WHERE content_hash = ANY(%s::bytea[]) AND status = 'scored'
            ORDER BY content_hash, language_detected, scored_at DESC
            """,
            [list(hashes)],
        )
        return {
            (bytes(key), language): tuple(row)
            for key, language, used, *row in cursor.fetchall()
            if _loaded(used) == _models_used(targets, language)
        }


def _loaded(value: Any) -> Any:
    """A jsonb column of a plain cursor: Django hands it over as text."""
    return json.loads(value) if isinstance(value, str) else value


def _reuse(outcome: Outcome, known: Mapping[tuple[bytes, str], tuple[Any, ...]]) -> bool:
    """Take over the score of an exact duplicate."""
    row = known.get((outcome.reading.content_hash, outcome.reading.language))
    if row is None:
        return False
    outcome.sentiment, probabilities, outcome.topics, topic_probabilities = row
    outcome.sentiment_probabilities = _loaded(probabilities)
    outcome.topic_probabilities = _loaded(topic_probabilities)
    return True


def _classify(outcomes: Sequence[Outcome], targets: dict[str, Target]) -> None:
    """One call for all texts and both models; equal texts are asked once."""
    first: dict[tuple[bytes, str], int] = {}
    asked: list[Reading] = []
    for outcome in outcomes:
        key = (outcome.reading.content_hash, outcome.reading.language)
        if key not in first:
            first[key] = len(asked)
            asked.append(outcome.reading)
    predictions = classify_batch(targets, asked) if asked else {}
    for outcome in outcomes:
        place = first[(outcome.reading.content_hash, outcome.reading.language)]
        outcome.predictions = {
            name: by_place[place] for name, by_place in predictions.items() if place in by_place
        }
        sentiment = outcome.predictions[SENTIMENT]
        outcome.sentiment = sentiment.label
        outcome.sentiment_probabilities = _rounded(sentiment)
        topic = outcome.predictions.get(TOPIC)
        if topic is not None:
            outcome.topic_probabilities = _rounded(topic)
            outcome.topics = _topics(topic)


def _topics(prediction: Prediction) -> list[str]:
    """The most probable topic, then others that are probable enough in alphabetical order."""
    others = sorted(
        label
        for label, probability in prediction.probabilities.items()
        if label != prediction.label and probability >= SECOND_TOPIC
    )
    return [prediction.label, *others]


def _rounded(prediction: Prediction) -> dict[str, float]:
    return {label: round(value, 4) for label, value in prediction.probabilities.items()}


@dataclass(frozen=True, slots=True)
class _Current:
    """What a document's row says at the moment of writing."""

    id: uuid.UUID
    published_at: datetime
    counted_at: datetime | None
    story_id: uuid.UUID | None


def _still_ours(outcomes: Sequence[Outcome]) -> dict[uuid.UUID, _Current]:
    """The rows that are still waiting for exactly this result, locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT document.id, document.published_at, document.counted_at, document.story_id
            FROM unnest(%s::uuid[], %s::integer[]) AS ours (id, revision)
            JOIN finance_sentiment_document document USING (id, revision)
            WHERE document.status = 'pending'
            FOR UPDATE OF document SKIP LOCKED
            """,
            [
                [outcome.document.id for outcome in outcomes],
                [outcome.document.revision for outcome in outcomes],
            ],
        )
        rows = [_Current(*row) for row in cursor.fetchall()]
    return {row.id: row for row in rows}


def _store(outcomes: Sequence[Outcome], assigned: Mapping[uuid.UUID, uuid.UUID]) -> None:
    """Write the results into the documents' rows, in one statement."""
    rows = [
        {
            "id": str(outcome.document.id),
            "story_id": str(assigned[outcome.document.id]),
            "status": outcome.status,
            "unscored_reason": outcome.reason,
            "language_detected": outcome.reading.language,
            "sentiment": outcome.sentiment,
            "sentiment_probabilities": outcome.sentiment_probabilities,
            "topics": outcome.topics,
            "topic_probabilities": outcome.topic_probabilities,
            "models_used": outcome.models_used,
            "content_hash": outcome.reading.content_hash.hex(),
            "signature": outcome.reading.signature.hex(),
        }
        for outcome in outcomes
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE finance_sentiment_document document
            SET story_id = result.story_id,
                status = result.status,
                unscored_reason = result.unscored_reason,
                language_detected = result.language_detected,
                sentiment = result.sentiment,
                sentiment_probabilities = result.sentiment_probabilities,
                topics = result.topics,
                topic_probabilities = result.topic_probabilities,
                models_used = result.models_used,
                content_hash = decode(result.content_hash, 'hex'),
                signature = decode(result.signature, 'hex'),
                counted_at = document.published_at,
                scored_at = now(), updated_at = now(), claimed_until = NULL
            FROM jsonb_to_recordset(%s::jsonb) AS result (
                id uuid, story_id uuid, status text, unscored_reason text, language_detected text,
                sentiment text, sentiment_probabilities jsonb, topics varchar[],
                topic_probabilities jsonb, models_used jsonb, content_hash text, signature text
            )
            WHERE document.id = result.id
            """,
            [json.dumps(rows)],
        )


def _log_predictions(outcomes: Sequence[Outcome], batch: PreparedBatch) -> None:
    """One row in the prediction log for every text that a model has read."""
    for name, target in batch.targets.items():
        read = [outcome for outcome in outcomes if name in outcome.predictions]
        if not read:
            continue
        predictions_log(
            result=DeploymentResult(
                deployment_id=target.deployment_id,
                version_id=target.version_id,
                version_label=target.version_label,
                languages=target.languages,
                labels=target.labels,
                predictions=[outcome.predictions[name] for outcome in read],
                seconds=batch.seconds,
            ),
            subjects=[
                Subject(
                    SUBJECT, outcome.document.id, outcome.reading.text, outcome.reading.language
                )
                for outcome in read
            ],
        )
