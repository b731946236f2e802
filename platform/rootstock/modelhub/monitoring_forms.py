"""Forms of the page Monitoring: rules and canaries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models import DriftBaseline, ModelVersion
from rootstock.modelhub.monitoring.rules import RULES
from rootstock.modelhub.policies import Policy


class MonitorForm(forms.Form):
    """A box and the limits of each rule, and what texts are compared with."""

    drift_source = forms.ChoiceField(
        label=_("Texts are compared with"), choices=DriftBaseline.Source.choices
    )

    def __init__(self, *args: Any, policy: Policy, drift_source: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["drift_source"].initial = drift_source
        for rule in RULES:
            now = policy[rule.key]
            self.fields[f"{rule.key}-enabled"] = forms.BooleanField(
                label=gettext(rule.title), required=False, initial=now["enabled"]
            )
            for limit in rule.limits:
                title = gettext(limit.title)
                self.fields[f"{rule.key}-{limit.key}"] = forms.FloatField(
                    label=f"{title} ({gettext(limit.unit)})" if limit.unit else title,
                    min_value=limit.minimum,
                    max_value=limit.maximum,
                    initial=f"{now['limits'][limit.key]:.10g}",
                    widget=forms.NumberInput(attrs={"step": "any"}),
                )

    def parts(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Alarm rules and guardrails with their fields, as the page shows them."""
        rows: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
        for rule in RULES:
            rows[rule.of_canary].append(
                {
                    "title": gettext(rule.title),
                    "asks": gettext(rule.asks),
                    "enabled": self[f"{rule.key}-enabled"],
                    "limits": [self[f"{rule.key}-{limit.key}"] for limit in rule.limits],
                }
            )
        return [
            ("alarms", gettext("Alarms"), rows[False]),
            ("guardrails", gettext("Guardrails of a canary"), rows[True]),
        ]

    def policy(self) -> Policy:
        """What was given, as `monitor_policy_update` takes it."""
        return {
            rule.key: {
                "enabled": self.cleaned_data[f"{rule.key}-enabled"],
                "limits": {
                    limit.key: self.cleaned_data[f"{rule.key}-{limit.key}"] for limit in rule.limits
                },
            }
            for rule in RULES
        }


class CanaryForm(forms.Form):
    """Which version answers how much."""

    version = forms.ChoiceField(label=_("Version"))
    share = forms.FloatField(
        label=_("Share of the texts (%)"),
        min_value=0.01,
        max_value=99.99,
        initial=10,
        help_text=_("Always the same texts: nobody gets two answers to one question."),
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
        super().__init__(*args, **{"auto_id": "canary-%s", **kwargs})
        field = self.fields["version"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [(str(each.pk), each.label) for each in versions]
