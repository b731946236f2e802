"""Forms of the widget's pages. They only shape what was typed; what is allowed is the services' to say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models import Channel
from apps.customer_service.services.channel_settings import (
    DAYS,
    DEFAULT_COLOUR,
    LONGEST_GREETING,
    LONGEST_TITLE,
    MOST_FIELDS,
)

# Fields that fill what is known of a visitor; any other is kept as an attribute.
FIELD_TYPES = [
    ("", _("none")),
    ("name", _("Name")),
    ("email", _("E-mail")),
    ("text", _("A line of text")),
    ("choice", _("A choice")),
]
EMPTY_ROWS = 2
DAY_NAMES = dict(
    zip(
        DAYS,
        (
            _("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"),
        ),
        strict=True,
    )
)  # fmt: skip


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


class SitesForm(forms.Form):
    """Where the widget may be."""

    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        help_text=_("For you and your agents; visitors never see it."),
    )
    origins = forms.CharField(
        label=_("Sites that may show it"),
        required=False,
        help_text=_("One a line, such as https://shop.example. Browsers show it nowhere else."),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"}),
    )
    enabled = forms.BooleanField(label=_("Switched on"), required=False, initial=True)

    @classmethod
    def of(cls, channel: Channel) -> dict[str, Any]:
        """What the channel says now, as it is typed."""
        return {
            "name": channel.name,
            "origins": "\n".join(channel.origins),
            "enabled": channel.enabled,
        }

    def settings(self) -> dict[str, Any]:
        """As the services take it."""
        return {**self.cleaned_data, "origins": _lines(self.cleaned_data["origins"])}


class LookForm(forms.Form):
    """How it looks and what it says first."""

    colour = forms.CharField(
        label=_("Colour"),
        initial=DEFAULT_COLOUR,
        help_text=_(
            "Of the button and of what visitors write. Text on it is black or white, whichever can be read."
        ),
        widget=forms.TextInput(attrs={"type": "color"}),
    )
    scheme = forms.ChoiceField(
        label=_("Theme"),
        choices=[
            ("auto", _("As the visitor's device")),
            ("light", _("Light")),
            ("dark", _("Dark")),
        ],
    )
    position = forms.ChoiceField(
        label=_("Corner"), choices=[("right", _("Lower right")), ("left", _("Lower left"))]
    )
    title_en = forms.CharField(label=_("Title, English"), max_length=LONGEST_TITLE, required=False)
    title_zh = forms.CharField(label=_("Title, Chinese"), max_length=LONGEST_TITLE, required=False)
    greeting_en = forms.CharField(
        label=_("Greeting, English"),
        max_length=LONGEST_GREETING,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    greeting_zh = forms.CharField(
        label=_("Greeting, Chinese"),
        max_length=LONGEST_GREETING,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    suggestions_en = forms.CharField(
        label=_("Suggestions, English"),
        required=False,
        help_text=_("Questions as buttons under the greeting, one a line, at most six."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    suggestions_zh = forms.CharField(
        label=_("Suggestions, Chinese"),
        required=False,
        help_text=_("In the same order."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    @classmethod
    def of(cls, channel: Channel) -> dict[str, Any]:
        """What the channel says now, as it is typed."""
        look = channel.appearance
        suggestions = look.get("suggestions", [])
        return {
            "colour": look.get("colour", DEFAULT_COLOUR),
            "scheme": look.get("scheme", "auto"),
            "position": look.get("position", "right"),
            **{
                f"{name}_{language}": look.get(name, {}).get(language, "")
                for name in ("title", "greeting")
                for language in ("en", "zh")
            },
            **{
                f"suggestions_{language}": "\n".join(
                    one.get(language, "") for one in suggestions
                ).rstrip()
                for language in ("en", "zh")
            },
        }

    def settings(self) -> dict[str, Any]:
        """As the services take it."""
        given = self.cleaned_data
        # A line may be empty in one language: the other is then used.
        en, zh = (
            [line.strip() for line in given[f"suggestions_{language}"].splitlines()]
            for language in ("en", "zh")
        )
        longest = max(len(en), len(zh))
        pairs = zip(en + [""] * (longest - len(en)), zh + [""] * (longest - len(zh)), strict=True)
        look = {
            **{name: given[name] for name in ("colour", "scheme", "position")},
            "title": {"en": given["title_en"], "zh": given["title_zh"]},
            "greeting": {"en": given["greeting_en"], "zh": given["greeting_zh"]},
            "suggestions": [{"en": one, "zh": other} for one, other in pairs if one or other],
        }
        return {"appearance": look}


class HoursForm(forms.Form):
    """When people answer, and what visitors may send."""

    holidays = forms.CharField(
        label=_("Days off"),
        required=False,
        help_text=_("One a line, such as 2027-01-01."),
        widget=forms.Textarea(attrs={"rows": 2, "class": "mono"}),
    )
    attachments = forms.BooleanField(label=_("Visitors may send files"), required=False)
    audiences = forms.CharField(
        label=_("Audiences"),
        required=False,
        help_text=_(
            "The assistant answers from the passages for these, separated by commas; public is for everybody."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for day, name in DAY_NAMES.items():
            attrs = {"placeholder": gettext("closed"), "class": "mono"}
            self.fields[day] = forms.CharField(
                label=name, required=False, max_length=100, widget=forms.TextInput(attrs=attrs)
            )
        self.order_fields([*DAYS, "holidays", "attachments", "audiences"])

    @property
    def days(self) -> list[forms.BoundField]:
        """The fields of the days."""
        return [self[day] for day in DAYS]

    @classmethod
    def of(cls, channel: Channel) -> dict[str, Any]:
        """What the channel says now, as it is typed."""
        hours = channel.business_hours
        return {
            **{day: ", ".join("-".join(span) for span in hours.get(day, [])) for day in DAYS},
            "holidays": "\n".join(day.isoformat() for day in channel.holidays),
            "attachments": channel.attachments,
            "audiences": ", ".join(channel.audiences),
        }

    def clean_holidays(self) -> list[date]:
        """Lines as dates."""
        days = []
        for line in _lines(self.cleaned_data["holidays"]):
            try:
                days.append(date.fromisoformat(line))
            except ValueError as error:
                raise forms.ValidationError(
                    gettext("%(line)s is not a date such as 2027-01-01.") % {"line": line[:40]}
                ) from error
        return days

    def settings(self) -> dict[str, Any]:
        """As the services take it."""
        given = self.cleaned_data
        hours = {
            day: [
                [clock.strip() for clock in span.replace("–", "-").split("-")]
                for span in given[day].replace("，", ",").split(",")
                if span.strip()
            ]
            for day in DAYS
        }
        return {
            "business_hours": hours,
            "holidays": given["holidays"],
            "attachments": given["attachments"],
            "audiences": given["audiences"].replace("，", ",").split(","),
        }


class FieldForm(forms.Form):
    """One field of the form before a conversation."""

    kind = forms.ChoiceField(label=_("Asks for"), choices=FIELD_TYPES, required=False)
    label_en = forms.CharField(label=_("Label, English"), max_length=LONGEST_TITLE, required=False)
    label_zh = forms.CharField(label=_("Label, Chinese"), max_length=LONGEST_TITLE, required=False)
    choices = forms.CharField(
        label=_("Choices"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 1, "placeholder": "Order | 订单"}),
    )
    required = forms.BooleanField(label=_("Required"), required=False)

    def clean(self) -> dict[str, Any]:
        """What is asked for needs words; a name and an address have them."""
        given: dict[str, Any] = super().clean() or {}
        usual = {"name": ("Name", "姓名"), "email": ("E-mail", "邮箱")}.get(given.get("kind", ""))
        if usual:
            given["label_en"] = given.get("label_en") or usual[0]
            given["label_zh"] = given.get("label_zh") or usual[1]
        if given.get("kind") and not (given.get("label_en") or given.get("label_zh")):
            self.add_error("label_en", gettext("The field needs a label."))
        return given


FieldSet = forms.formset_factory(FieldForm, extra=EMPTY_ROWS, max_num=MOST_FIELDS)


def fields_of(channel: Channel) -> list[dict[str, Any]]:
    """The fields of a channel's form, as they are typed."""
    rows = []
    for field in channel.pre_chat.get("fields", []):
        kind = field["name"] if field["name"] in {"name", "email"} else field["kind"]
        choices = [
            " | ".join(filter(None, (one.get("en", ""), one.get("zh", ""))))
            for one in field.get("choices", [])
        ]
        rows.append(
            {
                "kind": kind,
                "label_en": field["label"].get("en", ""),
                "label_zh": field["label"].get("zh", ""),
                "choices": "\n".join(choices),
                "required": field["required"],
            }
        )
    return rows


def pre_chat_of(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Typed rows as a channel's form."""
    fields = []
    for place, row in enumerate(rows, start=1):
        kind = row.get("kind")
        if not kind:
            continue
        named = kind in {"name", "email"}
        field = {
            "name": kind if named else f"field_{place}",
            "kind": "email" if kind == "email" else "text" if kind == "name" else kind,
            "required": row.get("required", False),
            "label": {"en": row.get("label_en", ""), "zh": row.get("label_zh", "")},
        }
        if kind == "choice":
            field["choices"] = [_pair(line) for line in _lines(row.get("choices", ""))]
        fields.append(field)
    return {"fields": fields}


def _pair(line: str) -> dict[str, str]:
    en, _bar, zh = line.partition("|")
    return {"en": en.strip(), "zh": zh.strip()}


class CheckForm(forms.Form):
    """A page on which the tag should work."""

    url = forms.CharField(
        label=_("Page"),
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
