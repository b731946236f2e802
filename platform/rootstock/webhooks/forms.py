"""Forms of the pages of this app."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from rootstock.webhooks.events import event_types


class EndpointForm(forms.Form):
    """An endpoint as a person enters it; what is allowed is the service's to say."""

    url = forms.CharField(
        label=_("Address"),
        max_length=500,
        help_text=_("Where we POST to, such as https://hooks.example.com/rootstock."),
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=200,
        required=False,
        help_text=_("Who receives it, and what for."),
    )
    event_types = forms.MultipleChoiceField(label=_("Events"), widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["event_types"].choices = [  # type: ignore[attr-defined]
            (kind.name, format_html("{} <code>{}</code>", kind.description, kind.name))
            for kind in event_types()
        ]
