"""The training form: its fields are made from the options of ml_core.training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ml_core.training import Option
from rootstock.modelhub.models import Dataset, ModelVersion, Snapshot, TrainingFile
from rootstock.modelhub.option_words import choice_label, group_title, option_help, option_label
from rootstock.modelhub.services.training_files import SUFFIXES
from rootstock.modelhub.training_settings import (
    FILES,
    FIRST,
    MAX_TRIALS,
    option_default,
    settable_options,
)

# Of each kind, in the lists of what an option may name.
_MOST_LISTED = 200


class TrainForm(forms.Form):
    """The settings of a run on a data set; what is left empty has a tested default."""

    name = forms.CharField(
        label=gettext_lazy("Name of the model"),
        max_length=120,
        help_text=gettext_lazy(
            "Small letters and dots, like finance.sentiment. The result is its next version."
        ),
        widget=forms.TextInput(attrs={"list": "model-names", "autocomplete": "off"}),
    )
    snapshot = forms.ChoiceField(label=gettext_lazy("Examples"), required=False)
    validation_fraction = forms.FloatField(
        label=gettext_lazy("Validation part"),
        min_value=0.01,
        max_value=0.5,
        initial=0.1,
        required=False,
        help_text=gettext_lazy("Share of the examples that the best epoch is chosen by."),
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    test_fraction = forms.FloatField(
        label=gettext_lazy("Test part"),
        min_value=0.0,
        max_value=0.5,
        initial=0.1,
        required=False,
        help_text=gettext_lazy("Share of the examples that are kept for the final figures."),
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    start = forms.ChoiceField(
        label=gettext_lazy("Start from"),
        required=False,
        help_text=gettext_lazy(
            "A version's encoder is a base like any other. Going on from the whole version keeps its labels and its "
            "last layer, and what it forgets of earlier snapshots is measured."
        ),
    )
    search = forms.CharField(
        label=gettext_lazy("What to try"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "Leave it empty to train one model. YAML: an option and a list of values, or low and high, such as "
            "learning_rate: {low: 1e-5, high: 1e-3, log: true}"
        ),
    )
    trials = forms.IntegerField(
        label=gettext_lazy("Models to try"),
        min_value=2,
        max_value=MAX_TRIALS,
        initial=20,
        required=False,
    )

    def __init__(
        self,
        dataset: Dataset,
        *args: Any,
        snapshots: Sequence[Snapshot] = (),
        versions: Sequence[ModelVersion] = (),
        can_go_on: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._options = settable_options(dataset.task, offered=True)
        self._choose("snapshot", [("", _("Freeze them as they are now"))])
        self._more("snapshot", [(str(each.pk), str(each)) for each in snapshots])
        starts = [("", _("The base model below"))]
        if can_go_on:
            starts += [
                (f"whole:{each.pk}", _("Go on from %(version)s") % {"version": each.label})
                for each in versions
                if each.task == dataset.task
            ]
        starts += [
            (f"encoder:{each.pk}", _("The encoder of %(version)s") % {"version": each.label})
            for each in versions
        ]
        self._choose("start", starts)
        for option in self._options:
            self.fields[option.name] = field = option_field(option)
            field.key = option.name  # type: ignore[attr-defined]  # shown beside the label
            if option.name in FILES:
                self._more(option.name, _named(option))
            if option.name in SUFFIXES:
                self.fields[f"{option.name}-file"] = forms.FileField(
                    label=_("or a new file"),
                    required=False,
                    widget=forms.ClearableFileInput(
                        attrs={"accept": ",".join(SUFFIXES[option.name])}
                    ),
                )

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = choices

    def _more(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - made by option_field
        field.choices = [*list(field.choices), *choices]  # type: ignore[arg-type]

    @property
    def first(self) -> list[forms.BoundField]:
        """The options that matter in most runs."""
        return [self[name] for name in FIRST if name in self.fields]

    @property
    def sections(self) -> list[dict[str, Any]]:
        """The other options by group; a group with something set or wrong is open."""
        sections: dict[str, list[forms.BoundField]] = {}
        for option in self._options:
            if option.name in FIRST:
                continue
            fields = sections.setdefault(option.group, [])
            fields += [
                self[name] for name in (option.name, f"{option.name}-file") if name in self.fields
            ]
        return [
            {
                "title": group_title(title),
                "fields": fields,
                "open": any(field.errors or field.data or field.initial for field in fields),
            }
            for title, fields in sections.items()
        ]

    def clean_search(self) -> dict[str, Any] | None:
        """The space of a search, or None for a single training."""
        text = self.cleaned_data["search"].strip()
        return recipe_values(text) if text else None

    def config(self) -> dict[str, Any]:
        """The options that were given and are not the default."""
        config = {}
        for option in self._options:
            value = given_value(option, self.cleaned_data.get(option.name))
            if value is not None and value != option_default(option):
                config[option.name] = value
        return config

    def uploads(self) -> dict[str, Any]:
        """New files by option."""
        names = [option.name for option in self._options if option.name in SUFFIXES]
        files = {name: self.cleaned_data.get(f"{name}-file") for name in names}
        return {name: file for name, file in files.items() if file}


class RecipeForm(forms.Form):
    """Options as YAML, as in docs/recipes: they fill the training form."""

    recipe = forms.CharField(
        label=gettext_lazy("Recipe"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
    )

    def clean_recipe(self) -> dict[str, Any]:
        """The options that it names."""
        return recipe_values(self.cleaned_data["recipe"])


def recipe_values(text: str) -> dict[str, Any]:
    """The mapping that a YAML text is.

    Raises:
        ValidationError: it is none.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise forms.ValidationError(" ".join(str(error).split())) from error
    if not isinstance(values, dict) or not values:
        raise forms.ValidationError(_("Lines of “option: value” are needed."))
    return {str(key): value for key, value in values.items()}


def recipe_initial(values: dict[str, Any], task: str) -> tuple[dict[str, Any], list[str]]:
    """What of a recipe fills the form of a task, and the names that do not belong there."""
    options = {option.name: option for option in settable_options(task)}
    initial, left_out = {}, []
    for name, value in values.items():
        option = options.get(name)
        if option is None or option.name in FILES:
            left_out.append(name)
        elif option.kind == "names" and not option.choices:
            initial[name] = ", ".join(map(str, value)) if isinstance(value, list) else value
        elif option.kind == "bool":
            initial[name] = str(value).lower()
        else:
            initial[name] = value
    return initial, left_out


def option_field(option: Option) -> forms.Field:  # noqa: PLR0911 - one a kind
    """The field of an option, never required; the help says what it does, the placeholder what holds without it."""
    shown = _default_shown(option)
    unset = _("Default: %(value)s") % {"value": shown} if shown else _("Default: not set")
    shared: dict[str, Any] = {
        "label": option_label(option.name),
        "help_text": option_help(option),
        "required": False,
    }
    if option.name in FILES:
        if option.kind == "names":
            return forms.MultipleChoiceField(**shared)
        return forms.ChoiceField(choices=[("", unset)], **shared)
    attributes = {"placeholder": shown, "autocomplete": "off"}
    if option.name == "base":
        attributes["list"] = "bases"
    if option.kind == "bool":
        yes_no = [("", unset), ("true", _("yes")), ("false", _("no"))]
        return forms.ChoiceField(choices=yes_no, **shared)
    if option.choices and option.kind == "names":
        choices = [(each, choice_label(option.name, each)) for each in option.choices]
        return forms.MultipleChoiceField(
            choices=choices, widget=forms.CheckboxSelectMultiple, **shared
        )
    if option.choices:
        return forms.ChoiceField(
            choices=[
                ("", unset),
                *((each, choice_label(option.name, each)) for each in option.choices),
            ],
            **shared,
        )
    if option.kind in {"int", "float"}:
        low = option.at_least if option.at_least is not None else option.above
        high = option.at_most if option.at_most is not None else option.below
        step = {"step": "1" if option.kind == "int" else "any"}
        if option.kind == "int":
            return forms.IntegerField(
                min_value=None if low is None else int(low),
                max_value=None if high is None else int(high),
                widget=forms.NumberInput(attrs=attributes | step),
                **shared,
            )
        return forms.FloatField(
            min_value=low,
            max_value=high,
            widget=forms.NumberInput(attrs=attributes | step),
            **shared,
        )
    return forms.CharField(max_length=2000, widget=forms.TextInput(attrs=attributes), **shared)


def _default_shown(option: Option) -> str:
    default = option_default(option)
    if default in (None, []):
        return ""
    if option.kind == "bool":
        return _("yes") if default else _("no")
    return choice_label(option.name, default) if option.choices else str(default)


def given_value(option: Option, value: Any) -> Any:
    """What a form's value means for the option; None where nothing was given."""
    if value in (None, "", []):
        return None
    if option.kind == "bool":
        return value == "true"
    if option.kind == "names" and isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def _named(option: Option) -> list[tuple[str, str]]:
    """The rows of the organisation that a file option may name."""
    found: list[tuple[str, str]] = []
    kinds = FILES[option.name]
    if "dataset" in kinds:
        found += [
            (f"dataset:{each.pk}", _("Texts without a label of %(name)s") % {"name": each.name})
            for each in Dataset.objects.order_by("name")[:_MOST_LISTED]
        ]
    if "snapshot" in kinds:
        rows = Snapshot.objects.select_related("dataset").order_by("-id")[:_MOST_LISTED]
        found += [(f"snapshot:{each.pk}", str(each)) for each in rows]
    if "file" in kinds:
        files = TrainingFile.objects.filter(option=option.name).order_by("-id")[:_MOST_LISTED]
        found += [(f"file:{each.pk}", each.name) for each in files]
    return found
