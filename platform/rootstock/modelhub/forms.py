"""Forms of the Models pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from rootstock.common.problems import Problem

__all__ = ["DeployForm", "RollbackForm", "TrainForm", "show_problem"]


class TrainForm(forms.Form):
    """The settings of a run; what is left empty has a tested default."""

    name = forms.CharField(
        label=_("Name of the model"),
        max_length=120,
        help_text=_(
            "Small letters and dots, like finance.sentiment. The result is its next version."
        ),
        widget=forms.TextInput(attrs={"list": "model-names", "autocomplete": "off"}),
    )
    epochs = forms.IntegerField(
        label=_("Epochs"),
        min_value=1,
        max_value=1000,
        required=False,
        help_text=_("Passes over the training part, at most; the best one is kept. Default: 4."),
    )
    base = forms.CharField(
        label=_("Base model"),
        max_length=200,
        required=False,
        help_text=_("packaged (all-MiniLM-L6-v2, English) or the name of a model on the hub."),
        widget=forms.TextInput(attrs={"placeholder": "packaged"}),
    )
    learning_rate = forms.FloatField(
        label=_("Learning rate"),
        min_value=1e-9,
        max_value=0.99,
        required=False,
        help_text=_("Default: by the size of the base, 0.0002 for the packaged one."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    batch_size = forms.IntegerField(
        label=_("Batch size"),
        min_value=1,
        max_value=4096,
        required=False,
        help_text=_("Default: 32. A smaller one needs less memory."),
    )
    max_length = forms.IntegerField(
        label=_("Tokens of a text"),
        min_value=8,
        max_value=8192,
        required=False,
        help_text=_("What is longer is cut off. Default: 256."),
    )
    class_weighting = forms.ChoiceField(
        label=_("Rare labels"),
        choices=[
            ("none", _("Each text weighs the same")),
            ("balanced", _("Each label weighs the same, however rare")),
        ],
        required=False,
    )
    validation_fraction = forms.FloatField(
        label=_("Validation part"),
        min_value=0.01,
        max_value=0.5,
        initial=0.1,
        help_text=_("Share of the examples that the best epoch is chosen by."),
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    test_fraction = forms.FloatField(
        label=_("Test part"),
        min_value=0.0,
        max_value=0.5,
        initial=0.1,
        help_text=_("Share of the examples that are kept for the final figures."),
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )

    OPTIONS = ("epochs", "base", "learning_rate", "batch_size", "max_length", "class_weighting")

    def config(self) -> dict[str, Any]:
        """The options that were given."""
        given = {name: self.cleaned_data[name] for name in self.OPTIONS}
        return {
            name: value
            for name, value in given.items()
            if value not in (None, "") and (name, value) != ("class_weighting", "none")
        }


class DeployForm(forms.Form):
    """Which slot, and why."""

    deployment = forms.CharField(
        label=_("Deployment"),
        max_length=120,
        help_text=_("The name that applications ask for."),
        widget=forms.TextInput(attrs={"list": "deployment-names", "autocomplete": "off"}),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Stays in the history."),
    )
    force = forms.BooleanField(
        label=_("Deploy although a check failed"),
        required=False,
        help_text=_(
            "Needs a reason. Damaged files and models that do not load are never deployed."
        ),
    )


class RollbackForm(forms.Form):
    """Why to go back."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Stays in the history."),
    )


def show_problem(form: forms.Form, problem: Problem) -> None:
    """Put what a service refused where it belongs: at the field that its pointer names, else on top."""
    placed = False
    for error in problem.errors:
        field = error["pointer"].rsplit("/", 1)[-1]
        if field in form.fields:
            form.add_error(field, error["detail"])
            placed = True
    if not placed:
        form.add_error(None, str(problem.detail))
