"""Doing messages: a lease, the work, and one commit for the effect and the end of the message."""

from __future__ import annotations

import json
import logging
import random
import threading
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import connection, connections
from django.db.models.functions import Now
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from rootstock.common.ids import uuid7
from rootstock.outbox.broker import queue_depth
from rootstock.outbox.handlers import (
    Handler,
    Payload,
    UnknownTopic,
    dead_letter_listeners,
    handler_get,
    handling,
)
from rootstock.outbox.models import OutboxMessage
from rootstock.outbox.services import publish
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

logger = logging.getLogger(__name__)

Outcome = Literal["done", "not due", "lost", "failed", "dead"]

# A hint that no worker has acted on within this time is sent again.
PUBLISH_SECONDS = 8
# Hints waiting in one queue of the broker; more would only pile up copies.
QUEUE_DEPTH = 500
LONGEST_WAIT = timedelta(hours=1)
ERROR_LENGTH = 4000

# `free` looks without a lock: a second delivery does not wait for the transaction of the first. The update does
# wait for a writer who is coalescing a signal into the row, so that what that one has written is visible to the
# handler.
_START = """
    WITH free AS (
        SELECT FROM outbox_outboxmessage
        WHERE id = %(id)s AND (lease_token IS NULL OR leased_until < clock_timestamp())
    )
    UPDATE outbox_outboxmessage
    SET lease_token = %(token)s, leased_until = clock_timestamp() + %(lease)s, attempts = attempts + 1,
        coalesce_key = NULL, updated_at = now()
    WHERE id = %(id)s AND dead_at IS NULL AND available_at <= clock_timestamp()
        AND (lease_token IS NULL OR leased_until < clock_timestamp())
        AND EXISTS (SELECT FROM free)
    RETURNING topic, payload, attempts
"""


class LeaseLost(RuntimeError):
    """Another worker has taken the message."""


@dataclass
class Taken:
    """A message that this worker holds the lease of."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    topic: str
    payload: Payload
    attempts: int
    token: uuid.UUID
    handler: Handler = field(init=False)


def lease() -> timedelta:
    """How long a worker that says nothing keeps a message."""
    return timedelta(seconds=settings.ROOTSTOCK_LEASE_SECONDS)


def run(message_id: uuid.UUID | str, organisation_id: uuid.UUID | str) -> Outcome:
    """Do one message if it is due and nobody else is doing it.

    Every failure of its handler is recorded on the message.
    """
    message = _start(uuid.UUID(str(message_id)), uuid.UUID(str(organisation_id)))
    if message is None:
        return "not due"
    try:
        message.handler = handler_get(message.topic)
    except UnknownTopic as error:
        # A worker of an older version meets a newer topic during an upgrade: wait for the newer worker.
        return _failed(message, error, max_attempts=20)
    if message.attempts > message.handler.max_attempts:
        gone = RuntimeError(f"the worker ended during each of {message.attempts - 1} attempts")
        return _failed(message, gone, max_attempts=message.handler.max_attempts)
    with handling(message.organisation_id, message.id):
        try:
            result = _do(message)
        except LeaseLost:
            logger.warning("message %s (%s) was taken over", message.id, message.topic)
            return "lost"
        except Exception as error:
            logger.exception("message %s (%s) failed", message.id, message.topic)
            return _failed(message, error, max_attempts=message.handler.max_attempts)
        if message.handler.after is not None:
            message.handler.after(message.payload, result)
    return "done"


def _start(message_id: uuid.UUID, organisation_id: uuid.UUID) -> Taken | None:
    token = uuid7()
    with organisation_scope(organisation_id):
        values: dict[str, Any] = {"id": message_id, "token": token, "lease": lease()}
        with connection.cursor() as cursor:
            cursor.execute(_START, values)
            started = cursor.fetchone()
    if started is None:
        return None
    topic, payload, attempts = started  # jsonb comes as text from a plain cursor
    return Taken(message_id, organisation_id, topic, json.loads(payload), attempts, token)


def _do(message: Taken) -> Any:
    handler = message.handler
    arguments: list[Any] = [message.payload]
    if handler.prepare is not None:
        with _Heartbeat(message):
            arguments.append(handler.prepare(message.payload))
    with organisation_scope(message.organisation_id):
        # Deleted first: while this transaction lives the row lock is the lease, which ends with the worker's
        # connection, and a failure brings the row back.
        held = OutboxMessage.objects.filter(pk=message.id, lease_token=message.token)
        if held.delete()[0] == 0:
            raise LeaseLost
        return handler.function(*arguments)


def _failed(message: Taken, error: Exception, *, max_attempts: int) -> Outcome:
    text = f"{type(error).__name__}: {error}"[:ERROR_LENGTH].replace("\x00", "")
    with organisation_scope(message.organisation_id):
        mine = OutboxMessage.objects.filter(pk=message.id, lease_token=message.token)
        if message.attempts < max_attempts:
            mine.update(
                lease_token=None,
                leased_until=None,
                published_at=None,
                published_count=0,
                available_at=timezone.now() + wait_after(message.attempts),
                last_error=text,
                updated_at=Now(),
            )
            return "failed"
        if mine.update(lease_token=None, leased_until=None, dead_at=Now(), last_error=text):
            logger.error("message %s (%s) is a dead letter: %s", message.id, message.topic, text)
            for listener in dead_letter_listeners():
                listener(message.topic, message.payload, text)
        return "dead"


def wait_after(attempts: int) -> timedelta:
    """Back-off: 2 s, doubled each time up to an hour, ± 20 % so that failures do not march in step."""
    seconds = min(LONGEST_WAIT.total_seconds(), 2.0 ** min(attempts, 12))
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))


class _Heartbeat:
    """Renews the lease of a message while slow work runs beside it."""

    def __init__(self, message: Taken) -> None:
        self._message = message
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox-heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        message = self._message
        try:
            while not self._stop.wait(lease().total_seconds() / 3):
                try:
                    with organisation_scope(message.organisation_id):
                        OutboxMessage.objects.filter(
                            pk=message.id, lease_token=message.token
                        ).update(leased_until=Now() + lease())
                except DatabaseError:
                    logger.warning("lease of message %s not renewed", message.id, exc_info=True)
        finally:
            connections.close_all()


def sweep() -> int:
    """Send hints for everything that is due and that no worker has; returns how many were sent.

    What may still wait in the broker is sent again more and more rarely, unless its queue has run empty: then
    it is lost, and is sent at once.
    """
    sent = 0
    for queue in settings.CELERY_TASK_QUEUES:
        depth = queue_depth(queue.name)
        if depth is None or depth >= QUEUE_DEPTH:
            continue
        rows = call_lookup(
            "outbox_claim", queue.name, QUEUE_DEPTH - depth, PUBLISH_SECONDS, depth == 0
        )
        for row in rows:
            if not publish(row["id"], row["organisation_id"], queue.name):
                return sent
            sent += 1
    return sent
