"""The log of who did what."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from rootstock.tenancy.models import TenantModel


class AuditEntry(TenantModel):
    """One thing that somebody did, never changed afterwards: the database refuses UPDATE and DELETE.

    Names are copied rather than referenced, so an entry can be read after the person or the key is gone.
    """

    updated_at = None  # type: ignore[assignment]  # nothing is ever updated

    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    action = models.CharField(max_length=80)
    target = models.CharField(max_length=200)
    target_id = models.CharField(max_length=64)
    changes = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    request_id = models.CharField(max_length=64, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        db_table = "audit_entry"
        indexes = [
            models.Index(fields=["organisation", "action", "-id"], name="audit_by_action"),
            models.Index(fields=["organisation", "actor_id", "-id"], name="audit_by_actor"),
            models.Index(fields=["organisation", "-created_at"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label}: {self.action} {self.target}"
