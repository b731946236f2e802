"""The event log: what happened, numbered without gaps for each stream."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now

from rootstock.tenancy.models import Organisation, TenantModel
from rootstock.tenancy.scope import current_organisation_id


class Stream(TenantModel):
    """The head of a stream: the number of its last event."""

    name = models.CharField(max_length=60)
    sequence = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="stream_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.sequence}"


class Event(models.Model):
    """One event; kept for the retention of `realtime_event` in weekly partitions."""

    pk = models.CompositePrimaryKey("organisation_id", "stream", "sequence", "created_at")
    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
        db_index=False,  # the primary key begins with it
    )
    organisation_id: uuid.UUID
    stream = models.CharField(max_length=60)
    sequence = models.BigIntegerField()
    type = models.CharField(max_length=80)
    payload = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.stream} {self.sequence} {self.type}"
