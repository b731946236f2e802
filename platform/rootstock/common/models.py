"""What every row has."""

from __future__ import annotations

from django.db import models

from rootstock.common.ids import uuid7


class BaseModel(models.Model):
    """A row with a time-ordered id and its two times."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
