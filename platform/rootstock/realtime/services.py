"""Appending to the event log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from rootstock.realtime.notify import stream_advanced
from rootstock.realtime.streams import permission_of
from rootstock.tenancy.scope import current_organisation_id

# The head's row stays locked until the transaction ends: numbers are given in the order of the commits, and a rollback
# takes its numbers back.
_APPEND = """
    WITH head AS (
        INSERT INTO realtime_stream AS s (id, created_at, updated_at, organisation_id, name, sequence)
        VALUES (gen_random_uuid(), now(), now(), %(organisation)s, %(stream)s, %(count)s)
        ON CONFLICT (organisation_id, name)
        DO UPDATE SET sequence = s.sequence + excluded.sequence, updated_at = now()
        RETURNING sequence
    ), written AS (
        INSERT INTO realtime_event (organisation_id, stream, sequence, type, payload, created_at)
        SELECT %(organisation)s, %(stream)s, head.sequence - %(count)s + e.place, e.type, e.payload, clock_timestamp()
        FROM head, unnest(%(types)s::text[], %(payloads)s::jsonb[]) WITH ORDINALITY AS e (type, payload, place)
    )
    SELECT sequence FROM head
"""


def event_append(stream: str, type: str, payload: Mapping[str, Any]) -> int:
    """Append one event and return its number; see `event_append_many`."""
    return event_append_many(stream, [(type, payload)])[0]


def event_append_many(stream: str, events: Sequence[tuple[str, Mapping[str, Any]]]) -> range:
    """Append events to a stream of the current organisation and return their numbers.

    Make it the last thing of the transaction: other writers of the stream wait for its end.

    Raises:
        UnknownStream: the stream is not registered.
        NoOrganisation: outside any scope.
    """
    permission_of(stream)
    organisation_id = current_organisation_id()
    if not events:
        return range(0)
    values: dict[str, Any] = {
        "organisation": organisation_id,
        "stream": stream,
        "count": len(events),
        "types": [type for type, _ in events],
        "payloads": [Jsonb(dict(payload)) for _, payload in events],
    }
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, values)
        ((head,),) = cursor.fetchall()
    transaction.on_commit(partial(stream_advanced, organisation_id, stream, head))
    return range(head - len(events) + 1, head + 1)
