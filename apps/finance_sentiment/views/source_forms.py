"""Forms of the pages of sources."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models import RefusedItem, Source, SourceKind
from apps.finance_sentiment.services.intake import MAX_LENGTH
from apps.finance_sentiment.services.sources.opml import MOST_BYTES
from apps.finance_sentiment.services.sources.pages import LONGEST_SELECTOR, PARTS

# The kinds that a person sets up; sources over REST and from files make themselves.
KINDS = (SourceKind.FEED, SourceKind.LIST, SourceKind.COMMENTS, SourceKind.HOOK)
_INTERVALS = [
    (60, _("every minute")),
    (300, _("every 5 minutes")),
    (900, _("every 15 minutes")),
    (3600, _("every hour")),
    (6 * 3600, _("every 6 hours")),
    (24 * 3600, _("every day")),
]
_SELECTOR_WORDS = {
    "item": (_("Items"), _("Which elements are the items, such as li.news.")),
    "title": (_("Title"), _("Within an item; without it the words of its link.")),
    "link": (_("Link"), _("Within an item; without it its first link.")),
    "time": (_("Time"), _("Within an item; without it its time element.")),
    "body": (_("Text"), _("Within an item.")),
    "author": (_("Author"), _("Within an item.")),
}


class SourceForm(forms.Form):
    """A source of a kind; `source` is the one that is changed, None for a new one."""

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        help_text=_("Documents carry it. It cannot be changed later."),
    )
    url = forms.CharField(
        label=_("Address"),
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
    interval_seconds = forms.TypedChoiceField(
        label=_("How often"), coerce=int, choices=_INTERVALS, initial=900
    )
    source_group = forms.CharField(
        label=_("Group"),
        max_length=60,
        required=False,
        help_text=_("Rules can watch a group, such as wires or forums."),
    )
    credibility = forms.FloatField(
        label=_("Credibility"),
        min_value=0,
        max_value=1,
        initial=0.5,
        help_text=_("How far it is believed: 0 not at all, 1 fully."),
        widget=forms.NumberInput(attrs={"step": "0.05"}),
    )
    language = forms.CharField(
        label=_("Language"),
        max_length=35,
        required=False,
        help_text=_("Of items that name none, such as en or zh. A hint: the text decides."),
    )
    fetch_articles = forms.BooleanField(
        label=_("Read the linked articles"),
        required=False,
        help_text=_("Their text becomes the body of the document."),
    )

    def __init__(
        self, data: Any = None, *, kind: str, source: Source | None = None, **kwargs: Any
    ) -> None:
        if source is not None:
            kwargs["initial"] = _initial(source)
        super().__init__(data, **kwargs)
        self.kind = kind
        for part in PARTS.get(SourceKind(kind), ()):
            label, help_text = _SELECTOR_WORDS[part]
            self.fields[f"selector_{part}"] = forms.CharField(
                label=label,
                help_text=help_text,
                max_length=LONGEST_SELECTOR,
                required=part == "item",
                widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off"}),
            )
        if kind not in (SourceKind.FEED, SourceKind.LIST):
            del self.fields["fetch_articles"]
        if kind in (SourceKind.HOOK, SourceKind.PUSH):
            del self.fields["url"], self.fields["interval_seconds"]
        if source is not None:
            del self.fields["name"]
            self._keep_interval(source.interval_seconds)

    def _keep_interval(self, seconds: int) -> None:
        """An interval that was set over REST is a choice too."""
        field = self.fields.get("interval_seconds")
        if isinstance(field, forms.TypedChoiceField) and seconds not in dict(_INTERVALS):
            field.choices = [(seconds, _("every %(n)d seconds") % {"n": seconds}), *_INTERVALS]

    @property
    def values(self) -> dict[str, Any]:
        """What the services take."""
        values = {
            name: value
            for name, value in self.cleaned_data.items()
            if name != "name" and not name.startswith("selector_")
        }
        if PARTS.get(SourceKind(self.kind)):
            values["selectors"] = {
                name.removeprefix("selector_"): value
                for name, value in self.cleaned_data.items()
                if name.startswith("selector_")
            }
        return values

    def add_faults(self, faults: dict[str, list[str]]) -> None:
        """Show what a service refuses beside its field."""
        for name, texts in faults.items():
            field = name if name in self.fields else None
            if name == "selectors" and "selector_item" in self.fields:
                part = texts[0].split(":", 1)[0]
                field = f"selector_{part}" if f"selector_{part}" in self.fields else "selector_item"
            for text in texts:
                self.add_error(field, text)


def _initial(source: Source) -> dict[str, Any]:
    names = (
        "url", "interval_seconds", "source_group", "credibility", "language", "fetch_articles",
    )  # fmt: skip
    values = {name: getattr(source, name) for name in names}
    return values | {f"selector_{part}": text for part, text in source.selectors.items()}


class OpmlForm(forms.Form):
    """A list of feeds."""

    file = forms.FileField(
        label=_("OPML file"),
        help_text=_("As every feed reader exports it. Folders become groups."),
        widget=forms.ClearableFileInput(attrs={"accept": ".opml,.xml"}),
    )

    def clean_file(self) -> Any:
        """Not larger than is read."""
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(
                _("It is larger than %(most)s MB.") % {"most": MOST_BYTES // 2**20}
            )
        return file


class RefusedForm(forms.Form):
    """A dead letter, corrected."""

    title = forms.CharField(label=_("Title"), max_length=MAX_LENGTH["title"])
    published_at = forms.CharField(
        label=_("Published"),
        max_length=60,
        help_text=_("Such as 2026-03-14T09:26:53Z; without a zone in that of your organisation."),
    )
    url = forms.CharField(label=_("Address"), max_length=MAX_LENGTH["url"], required=False)
    body = forms.CharField(
        label=_("Text"),
        max_length=MAX_LENGTH["body"],
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
    )

    @classmethod
    def of(cls, item: RefusedItem) -> RefusedForm:
        """As the item came."""
        given = {name: _plain(item.payload.get(name)) for name in cls.base_fields}
        return cls(initial=given)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else ""
