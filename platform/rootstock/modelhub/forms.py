"""Forms of the Models pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from rootstock.common.problems import Problem

__all__ = ["DeployForm", "RollbackForm", "show_problem"]


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
