"""Rows that applications offer to data sets. An application registers its source in `AppConfig.ready`:

sources.register(sources.RowSource("finance.documents", _("Public opinion: documents"), …))
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Text


@dataclass(frozen=True)
class SourceRow:
    """A row of an application: `content` as the task wants it, with or without its answer.

    `cursor` is where a later pull goes on if this was the last row. `uncertainty`: how unsure the app's model is.
    `subject` is what predictions about it were logged under, as ("finance.document", its id): labels that people give
    the row are compared with them.
    """

    content: Mapping[str, Any]
    cursor: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    uncertainty: float | None = None
    subject: tuple[str, uuid.UUID] | None = None


@dataclass(frozen=True)
class RowSource:
    """What an application offers.

    `rows(task, cursor)` yields the rows behind `cursor` ("": all), oldest first, inside the organisation's scope.
    """

    key: str
    label: Text
    description: Text
    tasks: frozenset[str]
    permission: Permission
    rows: Callable[[str, str], Iterator[SourceRow]]


_sources: dict[str, RowSource] = {}


def register(source: RowSource) -> None:
    """Offer a source; registering it again replaces it."""
    _sources[source.key] = source


def source_get(key: str) -> RowSource | None:
    """The source of this name."""
    return _sources.get(key)


def sources_for(task: str, granted: frozenset[Permission]) -> list[RowSource]:
    """Sources with rows of a task that somebody with these permissions may read."""
    return [
        source
        for source in sorted(_sources.values(), key=lambda source: source.key)
        if task in source.tasks and source.permission in granted
    ]


def settled() -> datetime:
    """The moment before which no row can appear any more.

    A row bears the time at which its transaction began, and is seen once that is committed: rows behind the oldest
    transaction that is still going on would come to lie before a cursor. They wait for the next pull.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(min(xact_start), clock_timestamp()) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
            """
        )
        (moment,) = cursor.fetchone()
    found: datetime = moment
    return found
