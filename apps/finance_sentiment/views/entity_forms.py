"""Forms of the pages of entities and topics."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models import Alias, Entity, EntityKind, Instrument, Topic


class EntityForm(forms.Form):
    """A company, product, person or place to follow."""

    name = forms.CharField(label=_("Name"), max_length=200)
    name_zh = forms.CharField(label=_("Chinese name"), max_length=200, required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=EntityKind.choices)
    aliases = forms.CharField(
        label=_("Other names"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One on each line."),
    )
    symbol = forms.CharField(label=_("Symbol"), max_length=20, required=False)
    exchange = forms.CharField(
        label=_("Exchange"),
        max_length=8,
        required=False,
        help_text=_("ISO 10383, such as XSHG, XHKG or XNYS."),
    )

    def values(self) -> dict[str, Any]:
        """What `entity_parse` reads."""
        given = dict(self.cleaned_data)
        given["aliases"] = [line.strip() for line in given["aliases"].splitlines() if line.strip()]
        return given


class AliasForm(forms.Form):
    """A further name."""

    text = forms.CharField(label=_("Name"), max_length=200)
    kind = forms.ChoiceField(label=_("Kind"), choices=Alias.Kind.choices, initial="short")
    valid_from = forms.DateField(
        label=_("First day"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    valid_until = forms.DateField(
        label=_("Last day"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def values(self) -> dict[str, Any]:
        """What `entity_parse` reads as one of its names."""
        days = ("valid_from", "valid_until")
        return {
            **self.cleaned_data,
            **{day: str(self.cleaned_data[day] or "") for day in days},
        }


class InstrumentForm(forms.Form):
    """A further listing."""

    symbol = forms.CharField(label=_("Symbol"), max_length=20)
    exchange = forms.CharField(label=_("Exchange"), max_length=8)
    listing = forms.ChoiceField(label=_("Paper"), choices=Instrument.Listing.choices)


class NamesFileForm(forms.Form):
    """A file of entities and their names."""

    file = forms.FileField(
        label=_("File"),
        help_text=_("CSV with a header line, or JSON lines; gzipped if you like. UTF-8."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.jsonl,.ndjson,.gz"}),
    )


class DecisionForm(forms.Form):
    """Who is meant by words."""

    mention = forms.UUIDField(widget=forms.HiddenInput)
    entity = forms.ModelChoiceField(Entity.objects.none(), required=False)
    everywhere = forms.BooleanField(required=False)
    learn = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["entity"].queryset = Entity.objects.all()  # type: ignore[attr-defined]


class TopicForm(forms.Form):
    """A topic of the taxonomy."""

    name = forms.CharField(label=_("Name"), max_length=100)
    name_zh = forms.CharField(label=_("Chinese name"), max_length=100, required=False)
    slug = forms.SlugField(
        label=_("Label"),
        max_length=60,
        required=False,
        help_text=_("As it stands on documents and in training data; it never changes."),
    )
    terms = forms.CharField(
        label=_("Words"),
        required=False,
        max_length=12_000,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=_(
            "English and Chinese, one on each line; with * at the end, every word that begins so."
        ),
    )
    enabled = forms.BooleanField(label=_("In use"), required=False, initial=True)

    @classmethod
    def of(cls, topic: Topic, data: Any = None) -> TopicForm:
        """The form of a topic that is there; its label cannot be changed."""
        initial = {
            "name": topic.name,
            "name_zh": topic.name_zh,
            "slug": topic.slug,
            "terms": "\n".join(topic.terms),
            "enabled": topic.enabled,
        }
        form = cls(data, initial=initial)
        form.fields["slug"].disabled = True
        return form
