"""The form of a rule, and of the history that it is tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.inference import DETECTOR_NAMES
from apps.finance_sentiment.models import Rule, SubjectKind
from apps.finance_sentiment.selectors.portfolios import portfolios

if TYPE_CHECKING:
    RuleModelForm = forms.ModelForm[Rule]
else:
    RuleModelForm = forms.ModelForm

DETECTOR_LABELS = {
    "negative-binomial": _(
        "Negative binomial: how unlikely the count is, however the rate wanders"
    ),
    "poisson": _("Poisson: how unlikely the count is; only for a steady rate"),
    "ewma-z": _("EWMA: standard deviations above the moving mean"),
    "cusum": _("CUSUM: sees a weak rise that lasts"),
    "s-h-esd": _("Seasonal hybrid ESD: against the same hour of other days"),
}


class RuleForm(RuleModelForm):
    """When news counts as a surge."""

    detector = forms.ChoiceField(
        label=_("Detector"), choices=[(name, DETECTOR_LABELS[name]) for name in DETECTOR_NAMES]
    )
    scope = forms.ChoiceField(label=_("What is watched"), choices=SubjectKind.choices)
    portfolio = forms.ChoiceField(label=_("Portfolio"), required=False)
    season = forms.BooleanField(
        label=_("Learn the hours of the week"),
        required=False,
        help_text=_("For news that comes at set hours. It takes some weeks of history."),
    )

    class Meta:
        model = Rule
        fields = [
            "name",
            "enabled",
            "scope",
            "key",
            "portfolio",
            "measure",
            "detector",
            "bucket_seconds",
            "window",
            "threshold",
            "minimum_negative",
            "minimum_total",
            "count_factor",
            "share_gain",
            "share_significance",
            "pending",
            "clear_ratio",
            "recovery",
            "minimum_firing",
        ]
        labels = {
            "name": _("Name"),
            "enabled": _("Watch for surges"),
            "key": _("Only this one"),
            "measure": _("What counts"),
            "bucket_seconds": _("Length of a bucket"),
            "window": _("Window"),
            "threshold": _("Threshold"),
            "minimum_negative": _("Least negative stories"),
            "minimum_total": _("Least stories"),
            "count_factor": _("Times the usual count"),
            "share_gain": _("Above the usual share by"),
            "share_significance": _("Certainty of the share"),
            "pending": _("Raise after"),
            "clear_ratio": _("Clear below"),
            "recovery": _("Clear after"),
            "minimum_firing": _("Stay open for at least"),
        }
        help_texts = {
            "key": _("A topic's label, an entity's id or a source's name. Empty: each by itself."),
            "bucket_seconds": _("Everything below is counted in buckets of this length."),
            "window": _("Buckets judged together."),
            "threshold": _(
                "In the detector's own unit: for tails, 2 is one window in 100 by chance; "
                "for EWMA, standard deviations."
            ),
            "minimum_negative": _("In one window; with fewer it is never a surge."),
            "minimum_total": _("In one window, of every sentiment."),
            "count_factor": _("2 means twice as many stories as expected."),
            "share_gain": _(
                "0.15 means fifteen points more than the usual share of negative stories."
            ),
            "share_significance": _("2 means one window in 100 by chance."),
            "pending": _("Buckets in a row above the threshold."),
            "clear_ratio": _("The part of the threshold below which an alert starts to clear."),
            "recovery": _("Buckets in a row below that."),
            "minimum_firing": _("Buckets."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = [(str(pk), name) for pk, name in portfolios().values_list("pk", "name")]
        self.fields["portfolio"].choices = [("", "—"), *found]  # type: ignore[attr-defined]
        if self.instance.scope == SubjectKind.PORTFOLIO:
            self.initial.update({"portfolio": self.instance.key, "key": ""})
        self.initial.setdefault("season", bool(self.instance.parameters.get("season")))

    def clean(self) -> dict[str, Any]:
        """The detector needs at least one of each."""
        cleaned: dict[str, Any] = super().clean() or {}
        for name in ("window", "minimum_total", "minimum_negative", "pending", "recovery"):
            if cleaned.get(name) == 0:
                self.add_error(name, _("This must be at least 1."))
        # A portfolio is chosen from a list instead of being written as its id.
        portfolio = cleaned.pop("portfolio", "")
        if cleaned.get("scope") == SubjectKind.PORTFOLIO:
            cleaned["key"] = portfolio
        # What the page does not offer stays as it is, unless it belongs to another detector.
        is_same = cleaned.get("detector") == self.initial.get("detector")
        kept = dict(self.instance.parameters) if is_same else {}
        cleaned["parameters"] = {**kept, "season": bool(cleaned.pop("season", False))}
        return cleaned


class PreviewForm(forms.Form):
    """How much history a rule is tried on."""

    days = forms.TypedChoiceField(
        label=_("History"),
        coerce=int,
        choices=[
            (1, _("a day")),
            (7, _("a week")),
            (30, _("30 days")),
            (90, _("90 days")),
        ],
        initial=30,
    )
