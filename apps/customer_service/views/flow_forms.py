"""Forms of the pages of flows and business actions; what is allowed is the services' to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models import BusinessAction, Flow
from apps.customer_service.services.flows.fields import FIELD_TYPES

_TYPES = {
    "string": _("Text"),
    "integer": _("Whole number"),
    "number": _("Number"),
    "boolean": _("Yes or no"),
    "date": _("Date"),
}


class LinesField(forms.CharField):
    """A list, one a line."""

    def __init__(self, rows: int = 6, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": rows}), required=False, **options)

    def clean(self, value: Any) -> Any:
        """The lines that hold something."""
        text: str = super().clean(value)
        return [line.strip() for line in text.splitlines() if line.strip()]


class StartForm(forms.Form):
    """What begins a flow."""

    name = forms.CharField(label=_("Name"), max_length=120)
    phrases = LinesField(
        label=_("Words that begin it"),
        help_text=_(
            "One a line, in any language. A message that contains one of them begins the flow."
        ),
    )
    intents = LinesField(
        label=_("Intents that begin it"),
        help_text=_("One a line, as your intent model names them. Needs a deployed intent model."),
    )
    threshold = forms.FloatField(
        label=_("From this probability of the intent on"),
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
        help_text=_("0.6 is a good beginning; higher begins it more rarely."),
    )

    @staticmethod
    def of(flow: Flow) -> dict[str, Any]:
        """The flow as it is."""
        return {
            "name": flow.name,
            "phrases": "\n".join(flow.phrases),
            "intents": "\n".join(flow.intents),
            "threshold": flow.threshold,
        }


class ActionForm(forms.Form):
    """Where an action is, and what it does."""

    description = forms.CharField(label=_("What it does"), max_length=500, required=False)
    url = forms.CharField(
        label=_("Address"),
        max_length=2000,
        required=False,
        help_text=_("Where we POST to, such as https://shop.example.com/rootstock/order-status."),
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
    timeout_seconds = forms.IntegerField(
        label=_("Waits at most (seconds)"), min_value=1, max_value=30, initial=5
    )
    changes_something = forms.BooleanField(
        label=_("It changes something"),
        required=False,
        initial=True,
        help_text=_(
            "A refund, a cancellation. A flow asks before it is done, and never sends it twice by itself."
        ),
    )

    @staticmethod
    def of(action: BusinessAction) -> dict[str, Any]:
        """The action as it is."""
        return {
            "description": action.description,
            "url": action.url,
            "timeout_seconds": action.timeout_seconds,
            "changes_something": action.changes_something,
        }


class NewActionForm(ActionForm):
    """With its name, which stays."""

    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        help_text=_(
            "As flows call it: small letters, digits and _, such as order_status. It stays."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    field_order = ["name", "description", "url", "timeout_seconds", "changes_something"]


class FieldForm(forms.Form):
    """A parameter or a result; without a name it is left out."""

    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    type = forms.ChoiceField(
        label=_("Kind"), choices=[(kind, _TYPES[kind]) for kind in FIELD_TYPES], initial="string"
    )
    description = forms.CharField(label=_("Description"), max_length=300, required=False)
    required = forms.BooleanField(label=_("Always there"), required=False, initial=True)


FieldRows = forms.formset_factory(FieldForm, extra=2, max_num=32)


def rows_of(fields: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Parameters or results as rows of the form."""
    return [{"name": name, **kind} for name, kind in fields.items()]


def fields_of(rows: Any) -> dict[str, Any]:
    """Rows of the form as parameters or results."""
    return {
        row["name"]: {
            "type": row["type"],
            "description": row["description"],
            "required": row["required"],
        }
        for row in (form.cleaned_data for form in rows)
        if row.get("name")
    }
