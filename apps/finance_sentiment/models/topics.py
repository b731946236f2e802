"""What documents are about: the organisation's taxonomy of topics, and proposals for it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.models import TenantModel


class Topic(TenantModel):
    """A subject that documents are about; a document may have several.

    `slug` is the label in training data and on documents. A topic is given to a document by the
    deployed model where that knows the label, otherwise by `terms`: words and phrases in English and
    Chinese, any of which is enough.
    """

    class Origin(models.TextChoices):
        """Who thought of it."""

        BUILT_IN = "built-in", _("Built in")
        PERSON = "person", _("Added by a person")
        DISCOVERED = "discovered", _("Discovered")

    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=100)
    name_zh = models.CharField(max_length=100, blank=True)
    description = models.TextField(blank=True)
    terms = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.PERSON)
    enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "slug"], name="finance_topic_once"),
        ]

    def __str__(self) -> str:
        return self.name


class TopicProposal(TenantModel):
    """A group of documents that no topic covers, found by clustering, that may become a topic.

    `documents` are the ids of the most typical ones.
    """

    class State(models.TextChoices):
        """What a person decided."""

        OPEN = "open", _("Open")
        PROMOTED = "promoted", _("Made a topic")
        DISMISSED = "dismissed", _("Dismissed")

    terms = ArrayField(models.CharField(max_length=60), default=list)
    documents = ArrayField(models.UUIDField(), default=list)
    size = models.PositiveIntegerField()
    # mean cosine of the members with their centre
    cohesion = models.FloatField()
    first_published_at = models.DateTimeField()
    last_published_at = models.DateTimeField()
    # what made the vectors
    model = models.CharField(max_length=200)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    topic = models.ForeignKey(Topic, null=True, on_delete=models.SET_NULL, related_name="proposals")

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "state", "-size"], name="finance_proposal_state"),
        ]

    def __str__(self) -> str:
        return ", ".join(self.terms[:3])


class Vocabulary(TenantModel):
    """One row of an organisation: how often its names and topics changed, so that workers read them anew then."""

    names_version = models.PositiveIntegerField(default=0)
    topics_version = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "vocabularies"
        constraints = [
            models.UniqueConstraint(fields=["organisation"], name="finance_vocabulary_once"),
        ]

    def __str__(self) -> str:
        return f"names {self.names_version}, topics {self.topics_version}"
