"""Forms of the pages of the collections."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models import Language
from rootstock.vectors.searching import LONGEST_QUERY

_BY_CHOICE = {Language.ENGLISH: ["en"], Language.CHINESE: ["zh"], Language.MIXED: ["en", "zh"]}


class CollectionForm(forms.Form):
    """A new collection."""

    name = forms.CharField(label=_("Name"), max_length=120)
    language = forms.ChoiceField(
        label=_("Language"), choices=Language.choices, initial=Language.MIXED
    )
    model = forms.CharField(
        label=_("Embedding model"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"list": "embedding-models", "autocomplete": "off"}),
        help_text=_("Empty: the organisation's, also when that changes."),
    )

    def values(self) -> dict[str, Any]:
        """As `collection_create` takes them."""
        data = self.cleaned_data
        languages = _BY_CHOICE[Language(data["language"])]
        return {"name": data["name"], "languages": languages, "model": data["model"].strip()}


class ModelForm(forms.Form):
    """Which model shall read a collection."""

    model = forms.CharField(
        label=_("Embedding model"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"list": "embedding-models", "autocomplete": "off"}),
        help_text=_("Empty: the organisation's, also when that changes."),
    )


class EmbeddingModelForm(forms.Form):
    """The organisation's embedding model."""

    model = forms.CharField(
        label=_("Embedding model"),
        max_length=200,
        widget=forms.TextInput(attrs={"list": "embedding-models", "autocomplete": "off"}),
        help_text=_(
            "“auto”, “packaged”, “rootstock-mini”, the name of a model on the hub, or “deployment:” and a name."
        ),
    )
    reembed = forms.BooleanField(
        label=_("Have the collections read by it at once"),
        required=False,
        initial=True,
        help_text=_("In the background; searches go on with the present model until it is done."),
    )


class SearchForm(forms.Form):
    """A search that somebody tries."""

    q = forms.CharField(label=_("Search"), max_length=LONGEST_QUERY)
    mode = forms.ChoiceField(
        label=_("Compare"),
        choices=[
            ("hybrid", _("words and meaning")),
            ("words", _("words")),
            ("meaning", _("meaning")),
        ],
        required=False,
    )
