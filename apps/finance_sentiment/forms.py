"""Forms of the monitor's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models import SurgeRule


class AcknowledgeForm(forms.Form):
    """Who takes an alert may say what they do about it."""

    comment = forms.CharField(
        label=_("Comment"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class ImportForm(forms.Form):
    """A file of documents."""

    file = forms.FileField(
        label=_("File"),
        help_text=_("CSV with a header line, or JSON lines; gzipped if you like. UTF-8."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.jsonl,.ndjson,.gz"}),
    )
    source = forms.CharField(
        label=_("Source"),
        required=False,
        max_length=100,
        help_text=_("For rows that name none; otherwise the name of the file."),
    )
    encoding = forms.ChoiceField(
        label=_("Encoding"),
        required=False,
        choices=[
            ("", "UTF-8"),
            ("gb18030", "GBK / GB18030"),
            ("utf-16", "UTF-16"),
            ("cp1252", "Windows-1252"),
        ],
    )


if TYPE_CHECKING:
    RuleModelForm = forms.ModelForm[SurgeRule]
else:
    RuleModelForm = forms.ModelForm


class RuleForm(RuleModelForm):
    """When bad news counts as a surge."""

    class Meta:
        model = SurgeRule
        fields = [
            "enabled",
            "bucket_seconds",
            "window",
            "minimum_negative",
            "minimum_total",
            "count_factor",
            "share_gain",
            "count_significance",
            "share_significance",
            "pending",
            "recovery",
            "minimum_firing",
        ]
        labels = {
            "enabled": _("Watch for surges"),
            "bucket_seconds": _("Length of a bucket"),
            "window": _("Window"),
            "minimum_negative": _("Least negative stories"),
            "minimum_total": _("Least stories"),
            "count_factor": _("Times the usual count"),
            "share_gain": _("Above the usual share by"),
            "count_significance": _("Certainty of the count"),
            "share_significance": _("Certainty of the share"),
            "pending": _("Raise after"),
            "recovery": _("Clear after"),
            "minimum_firing": _("Stay open for at least"),
        }
        help_texts = {
            "bucket_seconds": _("Everything below is counted in buckets of this length."),
            "window": _("Buckets judged together."),
            "minimum_negative": _("In one window; with fewer it is never a surge."),
            "minimum_total": _("In one window, of every sentiment."),
            "count_factor": _("2 means twice as many negative stories as expected."),
            "share_gain": _(
                "0.15 means fifteen points more than the usual share of negative stories."
            ),
            "count_significance": _("4 means one window in 10,000 by chance."),
            "share_significance": _("2 means one window in 100 by chance."),
            "pending": _("Buckets in a row above the threshold."),
            "recovery": _("Buckets in a row below half the threshold."),
            "minimum_firing": _("Buckets."),
        }

    def clean(self) -> dict[str, Any]:
        """The detector needs at least one of each."""
        cleaned: dict[str, Any] = super().clean() or {}
        for name in ("window", "minimum_total", "minimum_negative", "pending", "recovery"):
            if cleaned.get(name) == 0:
                self.add_error(name, _("This must be at least 1."))
        return cleaned
