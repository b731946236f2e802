"""Writing messages, sending hints to the broker, and the dead letters."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import Http404
from django.utils import timezone
from psycopg.types.json import Jsonb

from rootstock.common.ids import uuid7
from rootstock.outbox.broker import send
from rootstock.outbox.handlers import handler_get
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import current_organisation_id

RUN_TASK = "rootstock.outbox.run"

_INSERT = """
    INSERT INTO outbox_outboxmessage (id, created_at, updated_at, organisation_id, topic, payload, queue, coalesce_key,
        available_at, published_at, published_count, attempts, last_error)
    VALUES (%(id)s, now(), now(), %(organisation)s, %(topic)s, %(payload)s, %(queue)s, %(key)s,
        coalesce(%(available_at)s, clock_timestamp()),
        CASE WHEN %(at_once)s THEN clock_timestamp() END, CASE WHEN %(at_once)s THEN 1 ELSE 0 END, 0, '')
"""
# The update locks the pending row until this transaction ends, so that no worker can start it before what we
# have written is visible: the last signal of a burst is never lost.
_COALESCE = """
    ON CONFLICT (organisation_id, topic, coalesce_key) WHERE coalesce_key IS NOT NULL AND dead_at IS NULL
    DO UPDATE SET updated_at = now(), payload = excluded.payload,
        available_at = least(outbox_outboxmessage.available_at, excluded.available_at)
    RETURNING id, xmax = 0 AS inserted
"""


def outbox_write(
    topic: str,
    payload: Mapping[str, Any],
    *,
    available_at: datetime | None = None,
    coalesce_key: str | None = None,
    queue: str | None = None,
) -> uuid.UUID:
    """Have something done after the current transaction, at least once even if everything else crashes.

    Call it inside the scope and transaction of the change that makes it necessary.

    Args:
        available_at: not before this time; None: at once.
        coalesce_key: a message of the same topic and key that no worker has started yet is reused: its payload becomes
            this one. Writers of the same key wait for each other's commit, so write it late in the transaction.
        queue: None takes the queue of the topic's handler.

    Raises:
        UnknownTopic: nothing handles the topic.
        NoOrganisation: outside any scope.
    """
    queue = queue or handler_get(topic).queue
    at_once = available_at is None or available_at <= timezone.now()
    values: dict[str, Any] = {
        "id": uuid7(),
        "organisation": current_organisation_id(),
        "topic": topic,
        "payload": Jsonb(dict(payload)),
        "queue": queue,
        "key": coalesce_key,
        "available_at": available_at,
        "at_once": at_once,
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT + (_COALESCE if coalesce_key else " RETURNING id, true"), values)
        ((message_id, inserted),) = cursor.fetchall()
    if at_once and inserted:
        publish_on_commit(message_id, queue)
    return uuid.UUID(str(message_id))


def publish_on_commit(message_id: uuid.UUID, queue: str) -> None:
    """Tell a worker about a message of the current organisation once the transaction is committed."""
    organisation_id = current_organisation_id()
    transaction.on_commit(partial(publish, message_id, organisation_id, queue))


def publish(message_id: uuid.UUID, organisation_id: uuid.UUID, queue: str) -> bool:
    """Send the hint. A broker that is away costs nothing but time: the sweeper sends it again."""
    return send(RUN_TASK, [str(message_id), str(organisation_id)], queue)


def outbox_lag_seconds() -> float:
    """How long the oldest message that is due has waited, over all organisations; 0 when none waits."""
    return outbox_gauges()["lag_seconds"]


def outbox_gauges() -> dict[str, float]:
    """`pending`, `dead` and `lag_seconds` over all organisations."""
    (row,) = call_lookup("outbox_lag")
    return {name: float(value) for name, value in row.items()}


def dead_letter_retry(message_id: uuid.UUID) -> OutboxMessage:
    """Try a dead letter again, with all its attempts before it.

    Raises:
        Http404: there is no such dead letter.
    """
    changed = OutboxMessage.objects.filter(pk=message_id, dead_at__isnull=False).update(
        dead_at=None,
        attempts=0,
        available_at=Now(),
        published_at=Now(),
        published_count=1,
    )
    if not changed:
        raise Http404("no such dead letter")
    message = OutboxMessage.objects.get(pk=message_id)
    publish_on_commit(message.pk, message.queue)
    return message
