"""One writer at a time per name, for what has no row to lock yet."""

from __future__ import annotations

from django.db import connection

from rootstock.tenancy.scope import current_organisation_id


def lock_name(kind: str, name: str) -> None:
    """Wait for the lock of a name of this organisation; it is held until the transaction ends."""
    key = f"modelhub:{kind}:{current_organisation_id()}:{name}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
