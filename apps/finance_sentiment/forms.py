"""Forms of the monitor's pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


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
