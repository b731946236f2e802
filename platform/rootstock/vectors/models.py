"""Texts that are searched by meaning, and the vectors of each model that has read them."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.jobs.models import Job
from rootstock.tenancy.models import Organisation, TenantModel
from rootstock.tenancy.scope import current_organisation_id


class EmbeddingSetting(TenantModel):
    """The model that an organisation's collections are read by, where they name none themselves; one row at most."""

    model = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation"], name="embedding_setting_once"),
        ]

    def __str__(self) -> str:
        return self.model


class Collection(TenantModel):
    """Texts that are searched together."""

    name = models.CharField(max_length=120)
    # What the texts are, for the application that owns them: "texts", "passages", "faq" …
    kind = models.CharField(max_length=40, default="texts")
    # ISO 639-1 codes: which of its models the installation takes when it may choose.
    languages = ArrayField(models.CharField(max_length=10), default=list, blank=True)
    # As in the organisation's setting, see `inference.source_of`; empty: as the setting says.
    model = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="collection_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Item(TenantModel):
    """One text of a collection, known by the key that its owner gave it."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="items")
    key = models.CharField(max_length=200)
    text = models.TextField()
    # Where the text is from: an address or an id of the owner's.
    reference = models.CharField(max_length=500, blank=True)
    # Flat JSON object that searches can be narrowed by.
    attributes = models.JSONField(default=dict)
    # SHA-256 of the text: a vector counts only while it has the same.
    content_hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["collection", "key"], name="item_key_once"),
        ]
        indexes = [models.Index(fields=["collection", "id"], name="item_by_collection")]

    def __str__(self) -> str:
        return self.key


class ItemWords(models.Model):
    """The words of an item's text, for BM25; see `words`. Of each term there is a number that only its collection
    knows, no text."""

    # The database deletes it with its item (ON DELETE CASCADE in the migration).
    item = models.OneToOneField(
        Item, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+"
    )
    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
    )
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="+")
    terms = ArrayField(models.IntegerField())
    # How often each of the terms occurs, a byte each.
    counts = models.BinaryField()
    length = models.PositiveIntegerField()

    class Meta:
        indexes = [
            # Without a list of pending entries, which every search would have to read through.
            GinIndex(fields=["terms"], name="item_words_terms", fastupdate=False),
        ]

    def __str__(self) -> str:
        return str(self.item_id)


class TermCount(models.Model):
    """By how much a change of items changed how many have a term; the sum of a term's rows is how many do now.

    Writers only add rows, so they never wait for each other over common words; `words.counts_merge` adds up. Term 0
    stands for the items themselves and the sum of their lengths.
    """

    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # Tens of thousands of rows at a time: their collection is known to be there.
    collection = models.ForeignKey(
        Collection,
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    term = models.IntegerField()
    items = models.BigIntegerField()
    length = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["collection", "term"], name="term_count_of")]

    def __str__(self) -> str:
        return f"{self.term} {self.items:+d}"


class Space(TenantModel):
    """The vectors that one model gives the texts of a collection; they are in a table of their own, see `tables`.

    Searches ask the active one. Another is built beside it, becomes active in one transaction, and the former
    stays for a while, so that one can go back to it.
    """

    class State(models.TextChoices):
        """Where it is in its life."""

        BUILDING = "building", _("Building")
        ACTIVE = "active", _("Active")
        RETIRED = "retired", _("Retired")

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="spaces")
    collection_id: uuid.UUID
    state = models.CharField(max_length=10, choices=State.choices, default=State.BUILDING)
    # What people call the model: "packaged", "passages.embedding v3".
    label = models.CharField(max_length=200)
    # How the inference process knows it, and the hash of its weights: what made every vector here.
    source = models.CharField(max_length=300)
    digest = models.CharField(max_length=64)
    dimensions = models.PositiveIntegerField()
    # The job that fills it, or filled it.
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["collection"], condition=models.Q(state="active"), name="space_active_once"
            ),
            models.UniqueConstraint(
                fields=["collection"],
                condition=models.Q(state="building"),
                name="space_building_once",
            ),
            # One model, one space: going back to a model finds the vectors that are still there.
            models.UniqueConstraint(
                fields=["collection", "digest", "dimensions"], name="space_model_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.state})"
