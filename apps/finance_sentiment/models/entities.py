"""Who and what documents speak of: entities, their listings and names, and where each is mentioned."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models.documents import Document, Sentiment
from rootstock.tenancy.models import TenantModel


class EntityKind(models.TextChoices):
    """What an entity is."""

    COMPANY = "company", _("Company")
    PRODUCT = "product", _("Product")
    PERSON = "person", _("Person")
    PLACE = "place", _("Place")
    TICKER = "ticker", _("Ticker")
    ORGANISATION = "organisation", _("Organisation")
    OTHER = "other", _("Other")


class Entity(TenantModel):
    """A company, product, person or place that the organisation follows, whatever it is called.

    `key` names it for programs, signals and files; it never changes. Words of `context` near a name
    speak for this entity where the name alone could mean another.
    """

    key = models.SlugField(max_length=100, allow_unicode=True)
    kind = models.CharField(max_length=12, choices=EntityKind.choices, default=EntityKind.COMPANY)
    name = models.CharField(max_length=200)
    name_zh = models.CharField(max_length=200, blank=True)
    country = models.CharField(max_length=2, blank=True)
    sector = models.CharField(max_length=100, blank=True)
    context = ArrayField(models.CharField(max_length=60), default=list, blank=True)

    class Meta:
        verbose_name_plural = "entities"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "key"], name="finance_entity_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Instrument(TenantModel):
    """One listing of an entity: what is traded, where, under which symbol.

    A company listed in Shanghai, Hong Kong and New York has three: its A share, H share and ADR.
    `exchange` is the market's ISO 10383 code.
    """

    class Listing(models.TextChoices):
        """What kind of paper it is."""

        ORDINARY = "ordinary", _("Ordinary share")
        A_SHARE = "a", _("A share")
        B_SHARE = "b", _("B share")
        H_SHARE = "h", _("H share")
        ADR = "adr", _("ADR")
        FUND = "fund", _("Fund")
        BOND = "bond", _("Bond")
        INDEX = "index", _("Index")
        CRYPTO = "crypto", _("Crypto-asset")

    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="instruments")
    entity_id: uuid.UUID
    symbol = models.CharField(max_length=20)
    exchange = models.CharField(max_length=8)
    listing = models.CharField(max_length=8, choices=Listing.choices, default=Listing.ORDINARY)
    currency = models.CharField(max_length=3, blank=True)
    listed_from = models.DateField(null=True, blank=True)
    listed_until = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "exchange", "symbol"], name="finance_instrument_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.exchange}:{self.symbol}"


class Alias(TenantModel):
    """A name of an entity, and from when to when it was one.

    `folded` is the name as texts are compared with it. `ambiguity`, from 0 to 1, is how likely the
    name means something else: a name with much of it links only where the text supports it.
    `valid_until` is the last day, included.
    """

    class Kind(models.TextChoices):
        """What sort of a name it is."""

        FULL = "full", _("Full name")
        SHORT = "short", _("Short name")
        TICKER = "ticker", _("Ticker")
        ST_RENAME = "st-rename", _("ST name")
        FORMER = "former", _("Former name")

    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="aliases")
    entity_id: uuid.UUID
    text = models.CharField(max_length=200)
    folded = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SHORT)
    language = models.CharField(max_length=8, blank=True)
    ambiguity = models.FloatField(default=0.0)
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "aliases"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "entity", "folded", "kind", "valid_from"],
                name="finance_alias_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(ambiguity__gte=0.0, ambiguity__lte=1.0),
                name="finance_alias_ambiguity",
            ),
        ]
        indexes = [models.Index(fields=["organisation", "folded"], name="finance_alias_folded")]

    def __str__(self) -> str:
        return self.text


class Mention(TenantModel):
    """A place in a document's text that names somebody, and how the text speaks of them.

    The text is the title, a line feed and the body; `start` and `end` count its characters.
    `entity` is empty while nobody known is meant, or while a person has to decide among
    `candidates` ([{"entity", "score"}], the best first).
    """

    class State(models.TextChoices):
        """Whether it is known who is meant."""

        LINKED = "linked", _("Linked")
        REVIEW = "review", _("Waits for a decision")
        UNKNOWN = "unknown", _("Nobody known")
        DISMISSED = "dismissed", _("No mention")

    class Basis(models.TextChoices):
        """Where the sentiment comes from."""

        ENTITY_MODEL = "entity", _("Read for this entity")
        DOCUMENT = "document", _("That of the whole document")

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="mentions")
    document_id: uuid.UUID
    entity = models.ForeignKey(
        Entity, null=True, on_delete=models.SET_NULL, related_name="mentions"
    )
    entity_id: uuid.UUID | None
    state = models.CharField(max_length=9, choices=State.choices, default=State.UNKNOWN)
    surface = models.CharField(max_length=200)
    folded = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, choices=EntityKind.choices, default=EntityKind.COMPANY)
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    # how sure it is that the entity is meant, 0 to 1
    link_score = models.FloatField(default=0.0)
    candidates = models.JSONField(default=list)
    # a person decided; linking anew leaves it alone
    is_decided = models.BooleanField(default=False)
    sentiment = models.CharField(max_length=8, choices=Sentiment.choices, blank=True)
    # that of `sentiment`
    probability = models.FloatField(null=True)
    basis = models.CharField(max_length=8, choices=Basis.choices, default=Basis.DOCUMENT)
    # the document's, for the entity's page
    published_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["document", "start", "end"], name="finance_mention_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["organisation", "entity", "-published_at"], name="finance_mention_entity"
            ),
            models.Index(
                fields=["organisation", "folded"],
                name="finance_mention_review",
                condition=models.Q(state="review"),
            ),
        ]

    def __str__(self) -> str:
        return self.surface
