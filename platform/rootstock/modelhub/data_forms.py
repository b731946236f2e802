"""Forms of data sets and annotation."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models import AnnotationQueue, Dataset, DatasetImport, Language, Task
from rootstock.modelhub.services.annotation import MAX_OVERLAP
from rootstock.modelhub.services.snapshots import DEFAULT_NEAR_DUPLICATES

_AREA = {"rows": 3}


class DatasetForm(forms.Form):
    """What a data set is called and about."""

    name = forms.CharField(label=_("Name"), max_length=120)
    description = forms.CharField(
        label=_("Description"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs=_AREA),
        help_text=_("What the labels mean, and when a text gets which."),
    )
    language = forms.ChoiceField(label=_("Language of the texts"), choices=Language.choices)


class NewDatasetForm(DatasetForm):
    """The task is chosen once: it says what a row looks like."""

    task = forms.ChoiceField(label=_("What a model shall learn from it"), choices=Task.choices)
    field_order = ("name", "task", "description", "language")


class ImportForm(forms.Form):
    """A file of rows and the names of its columns."""

    file = forms.FileField(label=_("File"))
    text_column = forms.CharField(label=_("Column of the text"), max_length=120, initial="text")
    label_column = forms.CharField(
        label=_("Column of the label"),
        max_length=120,
        initial="label",
        required=False,
        help_text=_("Leave it empty when the texts have no labels yet."),
    )
    unlabelled = forms.BooleanField(label=_("The rows have no labels yet"), required=False)
    kind = forms.ChoiceField(label=_("What the file holds"), choices=DatasetImport.Kind.choices)

    # What a row looks like, as in a line of JSONL.
    _ROWS = {
        Task.MULTI_LABEL_CLASSIFICATION: '{"text": "…", "labels": ["…", "…"]}',
        Task.TOKEN_CLASSIFICATION: '{"tokens": ["Anna", "sings"], "tags": ["B-PER", "O"]}',
        Task.SPAN_CLASSIFICATION: (
            '{"text": "Acme gains as Bolt falls", "spans": [{"start": 0, "end": 4, "label": "positive"}, '
            '{"start": 14, "end": 18, "label": "negative"}]}'
        ),
        Task.TEXT_EMBEDDING: '{"anchor": "…", "positive": "…", "score": 0.8}',
        Task.RERANKING: '{"query": "…", "document": "…", "label": 1}',
        Task.TEXT_GENERATION: '{"prompt": "…", "response": "…"}',
        Task.NEXT_ITEM: '{"user": "…", "items": ["…", "…"]}',
    }
    _MAY_LACK_LABELS = (
        Task.MULTI_LABEL_CLASSIFICATION,
        Task.TOKEN_CLASSIFICATION,
        Task.SPAN_CLASSIFICATION,
        Task.RERANKING,
    )

    _ACCEPT = {
        Task.IMAGE_CLASSIFICATION: (".zip", _("A .zip with one folder a label, at most 2 GB.")),
        Task.TOKEN_CLASSIFICATION: (
            "",
            _(
                "CoNLL columns (a token a line, the tag last), JSONL or Parquet in UTF-8, at most 2 GB."
            ),
        ),
        Task.MASKED_LANGUAGE_MODEL: (
            ".txt,.csv,.jsonl,.ndjson,.parquet",
            _("A text a line, or CSV, JSONL or Parquet in UTF-8, at most 2 GB."),
        ),
    }

    def __init__(self, dataset: Dataset, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accept, help_text = self._ACCEPT.get(
            Task(dataset.task),
            (".csv,.jsonl,.ndjson,.parquet", _("CSV, JSONL or Parquet in UTF-8, at most 2 GB.")),
        )
        self.fields["file"].help_text = help_text
        if accept:
            self.fields["file"].widget.attrs["accept"] = accept
        self.row = self._ROWS.get(Task(dataset.task), "")
        if dataset.task not in self._MAY_LACK_LABELS:
            del self.fields["unlabelled"]
        # Rows of the other tasks have columns of their own names.
        if dataset.task != Task.TEXT_CLASSIFICATION:
            del self.fields["label_column"]
            if dataset.task not in (Task.MULTI_LABEL_CLASSIFICATION, Task.MASKED_LANGUAGE_MODEL):
                del self.fields["text_column"]
        if dataset.task != Task.NEXT_ITEM:
            del self.fields["kind"]


class FreezeForm(forms.Form):
    """How to split."""

    validation_fraction = forms.FloatField(
        label=_("Validation part"), min_value=0.01, max_value=0.5, initial=0.1,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )  # fmt: skip
    test_fraction = forms.FloatField(
        label=_("Test part"), min_value=0.0, max_value=0.5, initial=0.1,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )  # fmt: skip
    near_duplicates = forms.FloatField(
        label=_("Similar texts stay together from"),
        min_value=0.5,
        max_value=1.0,
        initial=DEFAULT_NEAR_DUPLICATES,
        help_text=_(
            "Share of what two texts have in common. A text in training that is nearly one in the test would flatter"
            " the model. 1 keeps only equal texts together."
        ),
        widget=forms.NumberInput(attrs={"step": "0.05"}),
    )
    group_by = forms.ChoiceField(
        label=_("Keep together by"),
        required=False,
        help_text=_("A column such as the user, the dialogue or the document."),
    )
    seed = forms.IntegerField(label=_("Seed"), min_value=0, max_value=2**31 - 1, initial=13)

    def __init__(self, columns: list[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = cast("forms.ChoiceField", self.fields["group_by"])
        choice.choices = [("", "—"), *((column, column) for column in columns)]


class QueueForm(forms.Form):
    """Whom to ask what."""

    dataset = forms.ChoiceField(label=_("Data set"))
    name = forms.CharField(label=_("Name"), max_length=120)
    instructions = forms.CharField(
        label=_("Instructions"),
        max_length=10_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_("Shown beside every example: when is it which label?"),
    )
    choices = forms.CharField(
        label=_("Choices"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs=_AREA),
        help_text=_("One a line. Empty: the labels that the data set has."),
    )
    overlap = forms.IntegerField(
        label=_("People an example"),
        min_value=1,
        max_value=MAX_OVERLAP,
        initial=1,
        help_text=_("With two or more you see how far people agree."),
    )
    order = forms.ChoiceField(label=_("Order"), choices=AnnotationQueue.Order.choices)
    deployment = forms.CharField(
        label=_("Ask this deployment for suggestions"),
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"list": "deployment-names", "autocomplete": "off"}),
    )
    include_labelled = forms.BooleanField(
        label=_("Also ask about examples with a label"), required=False
    )

    def __init__(self, datasets: list[Dataset], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = cast("forms.ChoiceField", self.fields["dataset"])
        choice.choices = [(str(dataset.pk), dataset.name) for dataset in datasets]

    def clean_choices(self) -> list[str]:
        """One a line."""
        return [line.strip() for line in self.cleaned_data["choices"].splitlines() if line.strip()]
