"""Stories of one event as a thread, and what a document said before it was edited."""

from __future__ import annotations

import json
import uuid
from typing import Any

import numpy as np
import numpy.typing as npt
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models.documents import Document, Story
from rootstock.tenancy.models import TenantModel

# Of rootstock-mini, on whose vectors the model of pairs was fitted.
DIMENSIONS = 384


class HalfVectorField(models.Field):  # type: ignore[type-arg]  # values are arrays both ways
    """A vector of `DIMENSIONS` numbers in half precision, as pgvector stores it."""

    def db_type(self, connection: Any) -> str:
        """pgvector's type."""
        return f"halfvec({DIMENSIONS})"

    def get_prep_value(self, value: npt.NDArray[np.float32] | None) -> str | None:
        """A vector as pgvector reads it."""
        return None if value is None else vector_text(value)

    def from_db_value(self, value: str | None, *_rest: Any) -> npt.NDArray[np.float32] | None:
        """(DIMENSIONS,), float32."""
        return None if value is None else np.array(json.loads(value), dtype=np.float32)


def vector_text(vector: npt.NDArray[np.float32]) -> str:
    """A vector as pgvector reads it; five digits are more than half precision keeps."""
    return "[" + ",".join(f"{value:.5g}" for value in vector.tolist()) + "]"


class Thread(TenantModel):
    """One event as all sources tell of it, in any language: stories that a model of pairs has put together.

    All figures are recomputed from its stories and their documents. `corroboration` is the chance that at least one
    of its sources is right if each is right as often as its credibility says and none copies from another:
    1 - Π (1 - credibility).
    """

    title = models.TextField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    story_count = models.PositiveIntegerField(default=0)
    document_count = models.PositiveIntegerField(default=0)
    negative_count = models.PositiveIntegerField(default=0)
    positive_count = models.PositiveIntegerField(default=0)
    source_count = models.PositiveIntegerField(default=0)
    sources = ArrayField(models.CharField(max_length=100), default=list)
    languages = ArrayField(models.CharField(max_length=8), default=list)
    corroboration = models.FloatField(default=0.0)
    topics = ArrayField(models.CharField(max_length=60), default=list)

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "-last_seen_at", "-id"], name="finance_thread_time"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class ThreadStory(TenantModel):
    """A story's place in a thread; without one, it waits to be read.

    `vector` is dropped when the story is too old for anything new to join it.
    """

    class PlacedBy(models.TextChoices):
        """Who decided."""

        MODEL = "model", _("Model")
        PERSON = "person", _("Person")

    # No constraint: stories go by plain SQL, which takes this row along.
    story = models.OneToOneField(
        Story, on_delete=models.CASCADE, related_name="place", db_constraint=False
    )
    story_id: uuid.UUID
    thread = models.ForeignKey(Thread, null=True, on_delete=models.SET_NULL, related_name="places")
    thread_id: uuid.UUID | None
    first_seen_at = models.DateTimeField()
    vector = HalfVectorField(null=True)
    # that the story belongs to the thread, when it joined; null for the one that began it
    probability = models.FloatField(null=True)
    placed_by = models.CharField(max_length=6, choices=PlacedBy.choices, default=PlacedBy.MODEL)

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "id"],
                name="finance_place_waiting",
                condition=models.Q(thread__isnull=True),
            ),
            models.Index(fields=["organisation", "first_seen_at"], name="finance_place_time"),
            models.Index(
                fields=["organisation", "created_at"],
                name="finance_place_kept",
                condition=models.Q(vector__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.story_id} in {self.thread_id}"


class DocumentVersion(TenantModel):
    """What a document said before an edit: the row as it was in an earlier revision."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="versions")
    document_id: uuid.UUID
    revision = models.PositiveIntegerField()
    title = models.TextField()
    body = models.TextField(blank=True)
    url = models.TextField(blank=True)
    language = models.CharField(max_length=35, blank=True)
    published_at = models.DateTimeField()
    # when this version arrived
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["document", "revision"], name="finance_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.document_id} revision {self.revision}"
