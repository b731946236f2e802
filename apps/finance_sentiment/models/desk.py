"""What the desk keeps: words to search by, saved views, portfolios, prices."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models.documents import Document
from apps.finance_sentiment.models.entities import Entity, Instrument
from rootstock.tenancy.models import Organisation, TenantModel
from rootstock.tenancy.scope import current_organisation_id


class DocumentWords(models.Model):
    """What a document is found by: a number for each of its words and for each of its facets.

    Facets are `sentiment:negative`, `topic:earnings`, `source:Wire`, `entity:<id>`, `language:zh`, `event:recall` and
    `day:2026-03-04` (UTC). A number is made from the term and the organisation, so that the one index of all
    organisations has lists of its own for each of them.
    """

    # No constraint for Django: the database removes the row with its document.
    document = models.OneToOneField(
        Document,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        related_name="+",
        db_constraint=False,
    )
    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
        db_index=False,
    )
    published_at = models.DateTimeField()
    terms = ArrayField(models.IntegerField())

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "-published_at", "-document"], name="finance_words_time"
            ),
            GinIndex(
                fields=["terms"],
                name="finance_words_terms",
                fastupdate=True,
                # What waits in the list is read by every search: no more than a few milliseconds of it.
                gin_pending_list_limit=512,
            ),
        ]

    def __str__(self) -> str:
        return f"words of {self.document_id}"


class SavedView(TenantModel):
    """A search or a setting of the board under a name. Others see it when it is shared.

    `query` is what stands in the page's address, by name. A view that an API key made has no owner and is shared.
    """

    class Page(models.TextChoices):
        """What it opens."""

        SEARCH = "search", _("Search")
        BOARD = "board", _("Board")

    page = models.CharField(max_length=8, choices=Page.choices, default=Page.SEARCH)
    name = models.CharField(max_length=80)
    query = models.JSONField(default=dict, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+"
    )
    owner_id: uuid.UUID | None
    is_shared = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "owner", "page", "name"],
                name="finance_view_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Portfolio(TenantModel):
    """Entities that are followed together: what somebody holds, with weights, or a mere list to watch.

    It is a subject of signals: a story that names several of its entities counts once.
    """

    class Kind(models.TextChoices):
        """Whether weights mean anything."""

        PORTFOLIO = "portfolio", _("Portfolio")
        WATCH_LIST = "watch-list", _("Watch-list")

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PORTFOLIO)
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    # Its buckets of the past were counted with the entities that it has now.
    counted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="finance_portfolio_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Holding(TenantModel):
    """An entity in a portfolio and how much of the portfolio it is, in any unit; a watch-list has 1 everywhere."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, related_name="holdings")
    portfolio_id: uuid.UUID
    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="holdings")
    entity_id: uuid.UUID
    weight = models.FloatField(default=1.0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "entity"], name="finance_holding_once"),
            models.CheckConstraint(
                condition=models.Q(weight__gt=0.0), name="finance_holding_weight"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entity_id} in {self.portfolio_id}"


class Price(models.Model):
    """What an instrument closed at on a day, in its currency."""

    pk = models.CompositePrimaryKey("instrument_id", "day")
    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
        db_index=False,
    )
    instrument = models.ForeignKey(
        Instrument, on_delete=models.CASCADE, related_name="prices", db_index=False
    )
    instrument_id: uuid.UUID
    day = models.DateField()
    close = models.DecimalField(max_digits=18, decimal_places=6)
    volume = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(close__gt=0), name="finance_price_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.close}"
