"""The form of the assistant's settings; what is allowed is the services' to say."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models import UNMASKABLE, Assistant
from apps.customer_service.selectors.assistants import generator_names, reranker_names
from apps.customer_service.services.assistants import MOST_MISSES
from apps.customer_service.views.flow_forms import LinesField

_KINDS = {
    "EMAIL": _("E-mail addresses"),
    "PHONE": _("Telephone numbers"),
    "ADDRESS": _("Postal addresses"),
}
_PLAIN = ("composer", "generator", "small_talk", "offer_people", "offer_people_after", "csat")
_SHARES = ("template_threshold", "support_threshold", "vector_weight")


def _share(label: Any, help_text: Any, *, required: bool = True) -> forms.FloatField:
    return forms.FloatField(
        label=label,
        help_text=help_text,
        min_value=0,
        max_value=1,
        required=required,
        widget=forms.NumberInput(attrs={"step": "0.01", "inputmode": "decimal"}),
    )


class AssistantForm(forms.Form):
    """Everything that can be set; of a channel without what finds the sources."""

    template_threshold = _share(
        _("Give a prepared answer from this match on"),
        _("From 0 to 1. Higher answers fewer questions directly, and those more surely."),
    )
    support_threshold = _share(
        _("Answer from documents from this support on"),
        _("From 0 to 1. Below it the assistant says that it has found nothing."),
    )
    composer = forms.ChoiceField(
        label=_("Who writes an answer from documents"), choices=Assistant.Composer.choices
    )
    generator = forms.CharField(
        label=_("Language model"),
        max_length=200,
        required=False,
        help_text=_(
            "A deployment that writes text, or connection/model. What no source supports is left out, sentence by "
            "sentence; when it does not answer, the documents' own sentences do."
        ),
        widget=forms.TextInput(attrs={"list": "generator-names", "autocomplete": "off"}),
    )
    vector_weight = _share(
        _("Share of meaning against words in the search"),
        _("From 0 to 1; empty: as usual. The tuning chooses it by your own questions."),
        required=False,
    )
    reranker = forms.ChoiceField(
        label=_("Reranker"),
        required=False,
        help_text=_("A deployed model that puts the ten best passages in order again."),
    )
    small_talk = forms.BooleanField(
        label=_("Answer greetings, thanks and goodbyes"), required=False
    )
    offer_people = forms.BooleanField(
        label=_("Offer people where nothing is found"),
        required=False,
        help_text=_("Whoever asks for a person gets one all the same."),
    )
    offer_people_after = forms.IntegerField(
        label=_("Bring people unasked after so many misses in a row"),
        min_value=1,
        max_value=MOST_MISSES,
        help_text=_("One fewer for customers who are angry."),
    )
    csat = forms.BooleanField(
        label=_("Ask how it was when a conversation is resolved"), required=False
    )
    blocked_words = LinesField(
        rows=4,
        label=_("Blocked words"),
        help_text=_("One a line. A message with one of them is neither answered nor repeated."),
    )
    masked = forms.MultipleChoiceField(
        label=_("Hidden from models, searches and logs"),
        choices=list(_KINDS.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "Take telephone numbers out if your order numbers look like them. Identity cards, bank cards and accounts "
            "are always hidden."
        ),
    )

    def __init__(self, *arguments: Any, assistant: Assistant, shared: bool, **options: Any) -> None:
        initial = {name: getattr(assistant, name) for name in (*_PLAIN, *_SHARES, "reranker")}
        initial["blocked_words"] = "\n".join(assistant.blocked_words)
        initial["masked"] = [kind for kind in UNMASKABLE if kind not in assistant.unmasked]
        super().__init__(*arguments, **{"initial": initial} | options)
        self.generators = generator_names()
        if shared:
            names = dict.fromkeys(filter(None, [*reranker_names(), assistant.reranker]))
            field = self.fields["reranker"]
            field.choices = [("", _("None")), *((name, name) for name in names)]  # type: ignore[attr-defined]
        else:
            del self.fields["vector_weight"], self.fields["reranker"]

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        given = dict(self.cleaned_data)
        masked = given.pop("masked")
        return {**given, "unmasked": [kind for kind in UNMASKABLE if kind not in masked]}
