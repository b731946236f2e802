"""The one way into an organisation's rows.

PostgreSQL's row-level security decides what is visible from the setting `rootstock.organisation`; this module
is the only place that sets it. The setting is local to a transaction, so a pooled connection can never carry it
to the next request.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connection, transaction

_current: ContextVar[uuid.UUID | None] = ContextVar("rootstock_organisation", default=None)


class NoOrganisation(RuntimeError):
    """Code that needs an organisation ran outside any scope."""


class NestedOrganisation(RuntimeError):
    """A scope of one organisation was opened inside the scope of another."""


def current_organisation_id() -> uuid.UUID:
    """The organisation of the innermost scope.

    Raises:
        NoOrganisation: outside any scope.
    """
    organisation_id = _current.get()
    if organisation_id is None:
        raise NoOrganisation("no organisation: wrap this call in organisation_scope(…)")
    return organisation_id


@contextmanager
def organisation_scope(organisation_id: uuid.UUID | str) -> Iterator[uuid.UUID]:
    """One transaction in which exactly the rows of one organisation exist.

    Inside a scope of the same organisation it is a savepoint.

    Raises:
        NestedOrganisation: inside a scope of another organisation.
    """
    wanted = uuid.UUID(str(organisation_id))
    outer = _current.get()
    if outer is not None and outer != wanted:
        raise NestedOrganisation(f"already in the scope of {outer}, asked for {wanted}")
    enclosed = connection.in_atomic_block
    with transaction.atomic():
        if outer is None:
            _set(str(wanted))
        token = _current.set(wanted)
        try:
            yield wanted
        finally:
            _current.reset(token)
        # An enclosing transaction (a test's, a command's) must not keep what belongs to this scope. After an error the
        # rollback takes the setting back, and nothing more may be asked of the transaction.
        if outer is None and enclosed and not connection.needs_rollback:
            _set("")


def _set(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('rootstock.organisation', %s, true)", [value])
