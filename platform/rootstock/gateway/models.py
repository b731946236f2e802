"""Servers elsewhere whose models an organisation uses."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from rootstock.common.secrets import EncryptedTextField
from rootstock.tenancy.models import TenantModel


class Connection(TenantModel):
    """A server that speaks OpenAI's protocol. Its models are asked for as "name/model"."""

    name = models.CharField(max_length=40)
    # With its /v1, or whatever the server has.
    base_url = models.CharField(max_length=500)
    api_key = EncryptedTextField(blank=True, default="")
    timeout_seconds = models.PositiveSmallIntegerField(default=60)
    # What the server offered when it was last asked, and when that was.
    offered = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    # Why that did not work; empty when it did.
    problem = models.CharField(max_length=500, blank=True)
    created_by = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="connection_name_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_key(self) -> bool:
        """Whether the server is shown a key."""
        return bool(self.api_key)

    @property
    def state(self) -> str:
        """ "ready", "failed", or "new" while nobody has tested it."""
        if self.checked_at is None:
            return "new"
        return "failed" if self.problem else "ready"
