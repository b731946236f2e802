"""The form that starts a compression."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.compressing import RECIPES
from rootstock.modelhub.models import Dataset, ModelVersion

SEARCH, OWN = "search", "own"


class CompressForm(forms.Form):
    """How to make a version smaller, and how much may be lost."""

    recipe = forms.ChoiceField(label=_("How"), widget=forms.RadioSelect)
    steps = forms.CharField(
        label=_("Own steps"),
        required=False,
        max_length=400,
        help_text=_(
            "In their order, parted by commas: layers:3, heads:0.5, neurons:0.5 (what is kept), vocabulary:8000, "
            "distil:5 (epochs), fp16, int8."
        ),
    )
    max_loss = forms.FloatField(
        label=_("Points that may be lost"),
        required=False,
        min_value=0,
        max_value=100,
        help_text=_(
            "Of the main figure on the validation part. When more is lost the job fails and nothing is registered; a "
            "search needs it. Empty: any loss, the gate decides."
        ),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    unlabelled = forms.ChoiceField(
        label=_("Texts without labels"),
        required=False,
        help_text=_(
            "A data set whose texts without an answer the smaller model learns from as well."
        ),
    )

    def __init__(self, *args: Any, version: ModelVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        recipes = [
            (each.key, f"{gettext(each.title)}: {gettext(each.note)} {', '.join(each.steps)}")
            for each in RECIPES
        ]
        own = [
            (
                SEARCH,
                gettext_lazy("Search: the fastest within the loss, over a grid of cuts. Hours."),
            ),
            (OWN, gettext_lazy("Own steps, below.")),
        ]
        recipe, unlabelled = self.fields["recipe"], self.fields["unlabelled"]
        assert isinstance(recipe, forms.ChoiceField)  # noqa: S101 - as they are declared above
        assert isinstance(unlabelled, forms.ChoiceField)  # noqa: S101
        recipe.choices = [*recipes, *own]
        recipe.initial = RECIPES[0].key
        names = Dataset.objects.filter(task=version.task).order_by("name").values_list("pk", "name")
        unlabelled.choices = [("", gettext_lazy("none")), *((str(pk), name) for pk, name in names)]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("recipe") == OWN and not values.get("steps", "").strip():
            self.add_error("steps", gettext("Name at least one step."))
        if values.get("recipe") == SEARCH and values.get("max_loss") is None:
            self.add_error("max_loss", gettext("A search needs to know what may be lost."))
        return values

    def options(self) -> dict[str, Any]:
        """The arguments of `compression_start` besides version and actor."""
        values = self.cleaned_data
        chosen = values["recipe"]
        steps: tuple[str, ...] = ()
        if chosen == OWN:
            steps = tuple(each.strip() for each in values["steps"].split(",") if each.strip())
        elif chosen != SEARCH:
            steps = next(each.steps for each in RECIPES if each.key == chosen)
        points = values["max_loss"]
        found = Dataset.objects.filter(pk=values["unlabelled"]) if values["unlabelled"] else None
        return {
            "steps": steps,
            "search": chosen == SEARCH,
            "max_loss": None if points is None else points / 100,
            "unlabelled": found.first() if found is not None else None,
        }
