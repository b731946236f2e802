"""The form that trains several models on one encoder: which data sets, under which names, with what in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from rootstock.modelhub.models import Dataset, TrainingRun
from rootstock.modelhub.services.together import MOST_HEADS
from rootstock.modelhub.train_forms import given_value, option_field
from rootstock.modelhub.training_settings import option_default, settable_options

# What all heads have in common and what matters in most runs.
_OPTIONS = ("base", "epochs", "learning_rate", "batch_size", "max_length")


class TogetherForm(forms.Form):
    """A tick and a name for each data set, then the options of all."""

    def __init__(self, datasets: Sequence[Dataset], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._datasets = list(datasets)
        self._options = [option for option in settable_options() if option.name in _OPTIONS]
        for dataset in self._datasets:
            self.fields[f"use-{dataset.pk}"] = forms.BooleanField(
                label=dataset.name, required=False
            )
            self.fields[f"name-{dataset.pk}"] = forms.CharField(
                label=_("Name of the model for %(dataset)s") % {"dataset": dataset.name},
                max_length=120,
                required=False,
                widget=forms.TextInput(attrs={"list": "model-names", "autocomplete": "off"}),
            )
        for option in self._options:
            self.fields[option.name] = field = option_field(option)
            field.key = option.name  # type: ignore[attr-defined]  # shown beside the label

    @property
    def rows(self) -> list[tuple[Dataset, forms.BoundField, forms.BoundField]]:
        """Each data set with its tick and its name."""
        return [
            (dataset, self[f"use-{dataset.pk}"], self[f"name-{dataset.pk}"])
            for dataset in self._datasets
        ]

    @property
    def options(self) -> list[forms.BoundField]:
        """What is the same for all."""
        return [self[option.name] for option in self._options]

    @property
    def heads(self) -> list[tuple[Dataset, str]]:
        """The data sets that were chosen, and the names of their models."""
        return [
            (dataset, self.cleaned_data[f"name-{dataset.pk}"])
            for dataset in self._datasets
            if self.cleaned_data.get(f"use-{dataset.pk}")
        ]

    def clean(self) -> dict[str, Any]:
        """At least two, each with a name."""
        cleaned = super().clean() or {}
        chosen = [dataset for dataset in self._datasets if cleaned.get(f"use-{dataset.pk}")]
        for dataset in chosen:
            if not cleaned.get(f"name-{dataset.pk}"):
                self.add_error(f"name-{dataset.pk}", _("Name the model."))
        if not 2 <= len(chosen) <= MOST_HEADS:
            raise forms.ValidationError(
                _("Choose from 2 to %(most)d data sets.") % {"most": MOST_HEADS}
            )
        return cleaned

    def config(self) -> dict[str, Any]:
        """The options that were given and are not the default."""
        found = {
            option.name: given_value(option, self.cleaned_data.get(option.name))
            for option in self._options
        }
        defaults = {option.name: option_default(option) for option in self._options}
        return {
            name: value
            for name, value in found.items()
            if value is not None and value != defaults[name]
        }


def names_before(datasets: Sequence[Dataset]) -> Mapping[str, str]:
    """What the model of each data set was last called, by the field of its name."""
    runs = (
        TrainingRun.objects.filter(snapshot__dataset__in=datasets)
        .order_by("snapshot__dataset_id", "-id")
        .distinct("snapshot__dataset_id")
        .values_list("snapshot__dataset_id", "name")
    )
    return {f"name-{dataset_id}": name for dataset_id, name in runs}
