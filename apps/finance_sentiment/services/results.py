"""What is to be written for a document that was read, and writing it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from apps.finance_sentiment.inference import (
    SUBJECT,
    DeploymentResult,
    Prediction,
    Reading,
    Target,
    answering,
)
from apps.finance_sentiment.models import Document
from apps.finance_sentiment.services.claims import Claimed
from apps.finance_sentiment.services.references import Reference
from rootstock.modelhub.services.predictions import Subject, predictions_log


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
    event: str = ""
    references: list[Reference] = field(default_factory=list)
    # the document with the same text whose scores were taken over
    same_as: uuid.UUID | None = None


def models_used(
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


def known_scores(
    hashes: set[bytes], targets: Mapping[str, Target]
) -> dict[tuple[bytes, str], tuple[Any, ...]]:
    """Scores that the present versions gave to the same texts, by text and language."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (content_hash, language_detected)
                   content_hash, language_detected, models_used, id, event,
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
            if loaded(used) == models_used(targets, language)
        }


def loaded(value: Any) -> Any:
    """A jsonb column of a plain cursor: Django hands it over as text."""
    return json.loads(value) if isinstance(value, str) else value


def score_reuse(outcome: Outcome, known: Mapping[tuple[bytes, str], tuple[Any, ...]]) -> bool:
    """Take over the score of an exact duplicate."""
    row = known.get((outcome.reading.content_hash, outcome.reading.language))
    if row is None:
        return False
    (
        outcome.same_as,
        outcome.event,
        outcome.sentiment,
        probabilities,
        outcome.topics,
        topic_probabilities,
    ) = row
    outcome.sentiment_probabilities = loaded(probabilities)
    outcome.topic_probabilities = loaded(topic_probabilities)
    return True


def outcomes_store(outcomes: Sequence[Outcome], assigned: Mapping[uuid.UUID, uuid.UUID]) -> None:
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
            "event": outcome.event,
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
                event = result.event,
                content_hash = decode(result.content_hash, 'hex'),
                signature = decode(result.signature, 'hex'),
                counted_at = document.published_at,
                scored_at = now(), updated_at = now(), claimed_until = NULL
            FROM jsonb_to_recordset(%s::jsonb) AS result (
                id uuid, story_id uuid, status text, unscored_reason text, language_detected text,
                sentiment text, sentiment_probabilities jsonb, topics varchar[],
                topic_probabilities jsonb, models_used jsonb, event text, content_hash text, signature text
            )
            WHERE document.id = result.id
            """,
            [json.dumps(rows)],
        )


def outcomes_log(
    outcomes: Sequence[Outcome], targets: Mapping[str, Target], seconds: float
) -> None:
    """One row in the prediction log for every text that a model has read."""
    for name, target in targets.items():
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
                seconds=seconds,
            ),
            subjects=[
                Subject(
                    SUBJECT, outcome.document.id, outcome.reading.text, outcome.reading.language
                )
                for outcome in read
            ],
        )
