"""Forms of the pages of the knowledge; what is allowed is the services' to say."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models import PUBLIC_AUDIENCE, Answer, EvaluationQuestion, Source
from apps.customer_service.services.sources import MOST_PAGES, WEB
from apps.customer_service.views.flow_forms import LinesField

_SYNC = [
    (0, _("Only when asked")),
    (3600, _("Every hour")),
    (86_400, _("Every day")),
    (604_800, _("Every week")),
]
_BETWEEN = re.compile(r"[,，、;；\s]+")


class WordsField(forms.CharField):
    """A list of names between commas."""

    def clean(self, value: Any) -> Any:
        """The names."""
        text: str = super().clean(value)
        return [word for word in _BETWEEN.split(text) if word]


class MomentField(forms.DateTimeField):
    """A day and a time in the organisation's time zone."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(widget=widget, required=False, **options)


def _audiences() -> WordsField:
    return WordsField(
        label=_("For whom"),
        required=False,
        initial="public",
        help_text=_(
            "“public” is everybody. Other audiences, such as “members”, are known by their signed identity; write "
            "several with commas between."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


def _expires() -> MomentField:
    return MomentField(label=_("Expires"), help_text=_("Nothing of it is said after this moment."))


class OptionsForm(forms.Form):
    """What every source has."""

    audiences = _audiences()
    expires_at = _expires()


class UrlForm(forms.Form):
    """One page."""

    url = forms.CharField(
        label=_("Address"),
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
    sync_seconds = forms.TypedChoiceField(
        label=_("Look again"), choices=_SYNC, coerce=int, initial=86_400
    )
    audiences = _audiences()
    expires_at = _expires()


class SiteForm(UrlForm):
    """A site, by its map or its links."""

    url = forms.CharField(
        label=_("Address of the site or of its sitemap"),
        max_length=2000,
        help_text=_(
            "Without a sitemap, its robots.txt and sitemap.xml are looked up, and links are followed below the address."
        ),
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
    page_limit = forms.IntegerField(
        label=_("At most so many pages"), min_value=1, max_value=MOST_PAGES, initial=200
    )
    field_order = ["url", "page_limit", "sync_seconds", "audiences", "expires_at"]


class TableForm(forms.Form):
    """Questions and answers, pasted from a spreadsheet."""

    title = forms.CharField(label=_("Title"), max_length=200)
    table = forms.CharField(
        label=_("Questions and answers"),
        max_length=1_000_000,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false"}),
        help_text=_(
            "Copy the cells of a spreadsheet and paste them here: a question and its answer a row. The first row may "
            "name the columns: question, answer, similar questions, category."
        ),
    )
    audiences = _audiences()
    expires_at = _expires()


class TextForm(forms.Form):
    """A text that is written here."""

    title = forms.CharField(label=_("Title"), max_length=300)
    text = forms.CharField(
        label=_("Text"),
        max_length=1_000_000,
        widget=forms.Textarea(attrs={"rows": 16}),
        help_text=_("Markdown: headings with #, lists with -, tables with |."),
    )
    audiences = _audiences()
    expires_at = _expires()


class SourceForm(forms.Form):
    """What can be changed of a source."""

    title = forms.CharField(label=_("Title"), max_length=300)
    page_limit = forms.IntegerField(
        label=_("At most so many pages"), min_value=1, max_value=MOST_PAGES
    )
    sync_seconds = forms.TypedChoiceField(label=_("Look again"), choices=_SYNC, coerce=int)
    audiences = _audiences()
    expires_at = _expires()

    def __init__(self, source: Source, data: Any = None) -> None:
        initial = {
            "title": source.title,
            "page_limit": source.page_limit,
            "sync_seconds": source.sync_seconds,
            "audiences": ", ".join(source.audiences),
            "expires_at": source.expires_at,
        }
        super().__init__(data, initial=initial)
        if source.kind not in WEB:
            del self.fields["sync_seconds"]
        if source.kind != Source.Kind.SITEMAP:
            del self.fields["page_limit"]
        known = [seconds for seconds, _label in _SYNC]
        if source.sync_seconds not in known and "sync_seconds" in self.fields:
            own = (source.sync_seconds, _("Every %(n)s seconds") % {"n": source.sync_seconds})
            self.fields["sync_seconds"].choices = [*_SYNC, own]  # type: ignore[attr-defined]


class AnswerForm(forms.Form):
    """A prepared answer."""

    title = forms.CharField(
        label=_("Question"),
        max_length=300,
        help_text=_("As a customer would ask it. It is the answer's title, too."),
    )
    body_en = forms.CharField(
        label=_("Answer in English"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 5, "lang": "en"}),
    )
    body_zh = forms.CharField(
        label=_("Answer in Chinese"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 5, "lang": "zh-Hans"}),
        help_text=_("At least one of the two. Markdown: links, lists and bold are shown."),
    )
    questions = LinesField(
        rows=8,
        label=_("Other ways to ask it"),
        help_text=_(
            "One a line, English and Chinese mixed: the more there are, the surer it is found."
        ),
    )
    intent = forms.CharField(
        label=_("Intent"),
        max_length=120,
        required=False,
        help_text=_("As your intent model calls it. Left empty, a name is made of the question."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    audiences = _audiences()
    expires_at = _expires()

    @staticmethod
    def of(answer: Answer) -> dict[str, Any]:
        """The answer as it is."""
        return {
            "title": answer.title,
            "body_en": answer.bodies.get("en", ""),
            "body_zh": answer.bodies.get("zh", ""),
            "questions": "\n".join(answer.questions),
            "intent": answer.intent,
            "audiences": ", ".join(answer.audiences),
            "expires_at": answer.expires_at,
        }

    def values(self) -> dict[str, Any]:
        """What `answer_save` takes."""
        values = dict(self.cleaned_data)
        values["bodies"] = {"en": values.pop("body_en"), "zh": values.pop("body_zh")}
        return values


class AskForm(forms.Form):
    """A question to the knowledge."""

    q = forms.CharField(label=_("What would a customer ask?"), max_length=4000)
    audience = forms.ChoiceField(label=_("As"), required=False)
    state = forms.ChoiceField(
        label=_("Ask"),
        required=False,
        choices=[
            ("draft", _("the draft: what would be published")),
            ("live", _("what visitors get now")),
        ],
    )
    weight = forms.FloatField(
        label=_("Share of meaning"),
        required=False,
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.05", "min": 0, "max": 1}),
    )

    def __init__(self, audiences: list[str], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        everybody_first = sorted(audiences, key=lambda name: (name != PUBLIC_AUDIENCE, name))
        self.fields["audience"].choices = [(name, name) for name in everybody_first]  # type: ignore[attr-defined]


class QuestionForm(forms.Form):
    """A question to evaluate by."""

    question = forms.CharField(label=_("Question"), max_length=2000)
    document_keys = LinesField(
        rows=3,
        label=_("Documents that answer it"),
        help_text=_("File names or addresses, one a line; finding any of them is right."),
    )
    intents = LinesField(
        rows=2,
        label=_("Prepared answers that answer it"),
        help_text=_("Their intents, one a line."),
    )
    must_contain = LinesField(
        rows=2, label=_("Words that the reply must hold"), help_text=_("One a line; all of them.")
    )
    unanswerable = forms.BooleanField(
        label=_("Nothing should be answered at all"),
        required=False,
        help_text=_(
            "For what is none of your business: the assistant must say that it does not know."
        ),
    )

    @staticmethod
    def of(question: EvaluationQuestion) -> dict[str, Any]:
        """The question as it is."""
        return {
            "question": question.question,
            "unanswerable": question.unanswerable,
            **{
                name: "\n".join(getattr(question, name))
                for name in ("document_keys", "intents", "must_contain")
            },
        }


class PublishForm(forms.Form):
    """What is said of a release."""

    comment = forms.CharField(label=_("What is new"), max_length=2000, required=False)
