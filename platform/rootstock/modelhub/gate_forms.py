"""Forms of the gate and of shadows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub import gate
from rootstock.modelhub.models import ModelVersion


class GateForm(forms.Form):
    """For which deployment the checks are made."""

    deployment = forms.CharField(
        label=_("Deployment"),
        max_length=120,
        widget=forms.TextInput(attrs={"list": "deployment-names", "autocomplete": "off"}),
    )


class PolicyForm(forms.Form):
    """A box and the limits of each check that is installed."""

    def __init__(self, *args: Any, policy: gate.Policy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for check in gate.CHECKS:
            now = policy[check.key]
            self.fields[f"{check.key}-enabled"] = forms.BooleanField(
                label=gate.words(check.title),
                required=False,
                initial=now["enabled"],
                disabled=check.required,
            )
            for limit in check.limits:
                unit = gate.words(limit.unit)
                title = gate.words(limit.title)
                self.fields[f"{check.key}-{limit.key}"] = forms.FloatField(
                    label=f"{title} ({unit})" if unit else title,
                    min_value=limit.minimum,
                    max_value=limit.maximum,
                    initial=f"{now['limits'][limit.key]:.10g}",
                    widget=forms.NumberInput(attrs={"step": "any"}),
                )

    def rows(self) -> list[dict[str, Any]]:
        """The checks with their fields, as the page shows them."""
        return [
            {
                "check": check,
                "title": gate.words(check.title),
                "asks": gate.asked(check, {limit.key: limit.default for limit in check.limits}),
                "enabled": self[f"{check.key}-enabled"],
                "limits": [self[f"{check.key}-{limit.key}"] for limit in check.limits],
            }
            for check in gate.CHECKS
        ]

    def policy(self) -> gate.Policy:
        """What was given, as `gate_policy_update` takes it."""
        return {
            check.key: {
                "enabled": check.required or self.cleaned_data[f"{check.key}-enabled"],
                "limits": {
                    limit.key: self.cleaned_data[f"{check.key}-{limit.key}"]
                    for limit in check.limits
                },
            }
            for check in gate.CHECKS
        }


class ShadowForm(forms.Form):
    """Which version is asked as well, and how often."""

    version = forms.ChoiceField(label=_("Version"))
    rate = forms.FloatField(
        label=_("Share of the texts"),
        min_value=0.0001,
        max_value=1,
        initial=1,
        help_text=_("1 asks about every text, 0.1 about every tenth."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Stays in the history."),
    )

    def __init__(self, *args: Any, versions: Iterable[ModelVersion], **kwargs: Any) -> None:
        # Its page has other forms with a field of the same name.
        super().__init__(*args, **{"auto_id": "shadow-%s", **kwargs})
        field = self.fields["version"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [(str(each.pk), each.label) for each in versions]
