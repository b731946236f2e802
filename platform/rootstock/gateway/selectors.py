"""Reading connections."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.http import Http404

from rootstock.gateway.models import Connection


def connections() -> QuerySet[Connection]:
    """All connections by name."""
    return Connection.objects.order_by("name")


def connection_get(connection_id: uuid.UUID) -> Connection:
    """One connection of the current organisation.

    Raises:
        Http404: there is none.
    """
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None:
        raise Http404("no such connection")
    return connection
