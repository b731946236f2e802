"""The form of the loop's settings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models import LoopSettings


class LoopSettingsForm(forms.Form):
    """When the loop turns by itself, and what it does then."""

    enabled = forms.BooleanField(label=_("Learn by itself"), required=False)
    every_days = forms.IntegerField(label=_("Every so many days"), min_value=1, max_value=365)
    least_labels = forms.IntegerField(
        label=_("New labels that it waits for"), min_value=1, max_value=1_000_000
    )
    daily_candidates = forms.IntegerField(
        label=_("Documents to look for each day"),
        min_value=0,
        max_value=1000,
        help_text=_("Three in ten are drawn at random, to measure the models; 0: none."),
    )
    adapts = forms.BooleanField(
        label=_("Read the collected text first"),
        required=False,
        help_text=_("The encoder learns the words of your sources before it learns labels."),
    )
    adapt_documents = forms.IntegerField(
        label=_("Documents that it reads"), min_value=100, max_value=100_000
    )
    base = forms.CharField(
        label=_("Base model"),
        required=False,
        max_length=200,
        help_text=_("Empty: goes on from the encoder of the deployed sentiment model."),
    )
    epochs = forms.FloatField(label=_("Epochs"), min_value=0.1, max_value=50)
    deploys = forms.BooleanField(
        label=_("Deploy what the gate passes"),
        required=False,
        help_text=_("Else a cycle waits for a person after the checks."),
    )

    @classmethod
    def of(cls, row: LoopSettings) -> LoopSettingsForm:
        """The form with what is stored."""
        initial: dict[str, Any] = {name: getattr(row, name) for name in cls.base_fields}
        return cls(initial=initial)
