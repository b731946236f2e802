"""Forms of the pages; what is allowed is the services' to say."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from rootstock.gateway.services import TIMEOUTS


class ConnectionChangeForm(forms.Form):
    """What can be changed of a connection."""

    base_url = forms.CharField(
        label=_("Address"),
        max_length=500,
        help_text=_("With its /v1, such as https://llm.example.com/v1."),
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
    timeout_seconds = forms.IntegerField(
        label=_("Longest wait, seconds"),
        min_value=TIMEOUTS[0],
        max_value=TIMEOUTS[1],
        initial=60,
        help_text=_("A reply that takes longer ends there."),
    )


class KeyForm(forms.Form):
    """The key that a server is shown."""

    api_key = forms.CharField(
        label=_("API key"),
        max_length=500,
        required=False,
        help_text=_(
            "Kept encrypted and never shown again. Leave it empty where the server asks for none."
        ),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )


class ConnectionForm(KeyForm, ConnectionChangeForm):
    """A new connection."""

    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        help_text=_("Its models are asked for as name/model, such as vllm/qwen3."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("name", "base_url", "api_key", "timeout_seconds")
