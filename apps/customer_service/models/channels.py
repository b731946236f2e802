"""Where customers write from, and how the assistant behaves there."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.common.secrets import EncryptedTextField
from rootstock.tenancy.models import TenantModel

# Which passages everybody may read.
PUBLIC_AUDIENCE = "public"


def default_audiences() -> list[str]:
    """What a new channel, and a new source, is for."""
    return [PUBLIC_AUDIENCE]


class Channel(TenantModel):
    """One installation of the widget: on which sites it may be, how it looks, when people answer."""

    name = models.CharField(max_length=120)
    # What the script tag on the host page says; not a secret.
    key = models.CharField(max_length=40, unique=True, editable=False)
    enabled = models.BooleanField(default=True)
    # "https://shop.example", without a path. Empty: no site may show the widget.
    origins = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    # With it the company's server signs who a visitor is.
    identity_secret = EncryptedTextField(default="")
    # Visitors without a signed identity are turned away.
    identity_required = models.BooleanField(default=False)
    # Passages of these audiences are searched.
    audiences = ArrayField(models.CharField(max_length=40), default=default_audiences)
    # {"colour": "#rrggbb", "scheme": "auto|light|dark", "position": "right|left", "title": {"en": …, "zh": …},
    #  "greeting": {"en": …, "zh": …}, "suggestions": [{"en": …, "zh": …}]}
    appearance = models.JSONField(default=dict, blank=True)
    # {"fields": [{"name", "kind": "text|email|choice", "required": bool, "label": {"en", "zh"}, "choices": […]}]}
    pre_chat = models.JSONField(default=dict, blank=True)
    # {"mon": [["09:00", "18:00"]], …} in the organisation's time zone; empty: people are always there.
    business_hours = models.JSONField(default=dict, blank=True)
    # Dates on which nobody answers.
    holidays = ArrayField(models.DateField(), default=list, blank=True)
    attachments = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="service_channel_name"),
        ]

    def __str__(self) -> str:
        return self.name


# Kinds of personal data that may be left unmasked: a shop's order numbers may look like telephone numbers. Numbers of
# identity cards, bank cards and accounts are always masked.
UNMASKABLE = ("EMAIL", "PHONE", "ADDRESS")


class Assistant(TenantModel):
    """How questions are answered: one row for the organisation, and one for each channel that differs.

    What finds the sources (`vector_weight`, `reranker`, `retrieval_report`) is the organisation's row's for all.
    """

    class Composer(models.TextChoices):
        """Who writes an answer from the passages found."""

        EXTRACTIVE = "extractive", _("Sentences of the sources, word for word")
        GENERATOR = "generator", _("A language model, held to the sources")

    # Null: of the organisation.
    channel = models.OneToOneField(
        Channel, on_delete=models.CASCADE, null=True, blank=True, related_name="assistant"
    )
    composer = models.CharField(
        max_length=12, choices=Composer.choices, default=Composer.EXTRACTIVE
    )
    # A model as the gateway names it: a deployment, "connection/model". Only of a generator.
    generator = models.CharField(max_length=200, blank=True)
    # From this calibrated match on, a prepared answer is given as it is.
    template_threshold = models.FloatField(default=0.8)
    # Below this support by the sources nothing is answered.
    support_threshold = models.FloatField(default=0.35)
    # Share of meaning against words in the ranking, 0 to 1; None: as measured for the language.
    vector_weight = models.FloatField(null=True, blank=True)
    reranker = models.CharField(max_length=200, blank=True)
    # When, by what and with which outcome the weights were tuned.
    retrieval_report = models.JSONField(default=dict, blank=True)
    # Messages with one of these are neither answered nor repeated.
    blocked_words = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    # Ask how it was when a conversation is resolved.
    csat = models.BooleanField(default=True)
    # Offer people where nothing is found. Whoever asks for people gets them all the same.
    offer_people = models.BooleanField(default=True)
    # Bring them unasked after so many answers in a row that did not help.
    offer_people_after = models.PositiveSmallIntegerField(default=2)
    # Answer greetings, thanks and goodbyes with a phrase.
    small_talk = models.BooleanField(default=True)
    # Kinds of personal data, of UNMASKABLE, that models, searches and logs may see.
    unmasked = ArrayField(models.CharField(max_length=12), default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation"],
                condition=models.Q(channel=None),
                name="service_assistant_once",
            ),
        ]

    def __str__(self) -> str:
        return f"assistant of {self.channel_id or self.organisation_id}"


class Visitor(TenantModel):
    """Somebody who writes: a browser, or a customer whom the company's own server has vouched for."""

    # The company's id of the customer; empty for somebody unknown.
    external_id = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=200, blank=True)
    email = models.CharField(max_length=254, blank=True)
    # Flat object: from the signed identity and the pre-chat form.
    attributes: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict, blank=True
    )
    verified = models.BooleanField(default=False)
    language = models.CharField(max_length=10, blank=True)
    last_seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "external_id"],
                condition=~models.Q(external_id=""),
                name="service_visitor_external",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.external_id or str(self.pk)
