"""Reading endpoints and what was sent to them."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.http import Http404

from rootstock.webhooks.models import Attempt, Delivery, Endpoint


def endpoints() -> QuerySet[Endpoint]:
    """All endpoints, the newest first."""
    return Endpoint.objects.order_by("-id")


def endpoint_get(endpoint_id: uuid.UUID) -> Endpoint:
    """One endpoint of the current organisation.

    Raises:
        Http404: there is none.
    """
    endpoint = Endpoint.objects.filter(pk=endpoint_id).first()
    if endpoint is None:
        raise Http404("no such endpoint")
    return endpoint


def deliveries(endpoint: Endpoint | None = None, *, state: str | None = None) -> QuerySet[Delivery]:
    """What was sent, the newest first."""
    rows = Delivery.objects.select_related("endpoint").order_by("-id")
    if endpoint is not None:
        rows = rows.filter(endpoint=endpoint)
    return rows.filter(state=state) if state else rows


def delivery_get(delivery_id: uuid.UUID) -> Delivery:
    """One delivery of the current organisation.

    Raises:
        Http404: there is none (any more).
    """
    delivery = Delivery.objects.select_related("endpoint").filter(pk=delivery_id).first()
    if delivery is None:
        raise Http404("no such delivery")
    return delivery


def attempts(delivery: Delivery) -> QuerySet[Attempt]:
    """The tries of a delivery in order."""
    return delivery.attempts.order_by("id")
