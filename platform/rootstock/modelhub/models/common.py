"""Words and base classes that the models share."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.models import TenantModel


class Task(models.TextChoices):
    """What a model learns; the words are those of `ml_core.training`."""

    TEXT_CLASSIFICATION = "text-classification", _("Text classification")
    MULTI_LABEL_CLASSIFICATION = "multi-label-classification", _("Multi-label classification")
    TOKEN_CLASSIFICATION = "token-classification", _("Entity recognition")
    SPAN_CLASSIFICATION = "span-classification", _("Span classification")
    TEXT_EMBEDDING = "text-embedding", _("Text embedding")
    RERANKING = "reranking", _("Reranking")
    TEXT_GENERATION = "text-generation", _("Text generation")
    IMAGE_CLASSIFICATION = "image-classification", _("Image classification")
    NEXT_ITEM = "next-item", _("Next item")
    MASKED_LANGUAGE_MODEL = "masked-language-model", _("Continued pretraining")


class Language(models.TextChoices):
    """The language of a data set's texts."""

    ENGLISH = "en", _("English")
    CHINESE = "zh", _("Chinese")
    MIXED = "mixed", _("English and Chinese")


class Split(models.TextChoices):
    """The parts of a snapshot."""

    TRAIN = "train", _("Training")
    VALIDATION = "validation", _("Validation")
    TEST = "test", _("Test")


class AuthoredModel(TenantModel):
    """A row that says who made it."""

    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)

    class Meta:
        abstract = True
