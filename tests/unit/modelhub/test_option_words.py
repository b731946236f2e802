"""Options of training read well in both languages, whichever option is added."""

from __future__ import annotations

import re

import pytest
from django.utils import translation

from ml_core.training import Option, training_options
from rootstock.modelhub import option_words
from rootstock.modelhub.option_words import (
    choice_label,
    group_title,
    option_help,
    option_label,
    option_value,
)
from rootstock.modelhub.training_settings import settable_options

_HAN = re.compile(r"[\u4e00-\u9fff]")
# Names of methods and programs are the same in every language.
_NAMES = {"R-Drop", "LoRA alpha", "LoRA dropout"}


@pytest.mark.parametrize("option", training_options(), ids=lambda option: option.name)
def test_every_option_has_its_words_in_both_languages(option: Option) -> None:
    label = option_label(option.name)
    assert label != option.name, "name it in modelhub/option_words.py"
    assert label[0].isupper()
    with translation.override("zh-hans"):
        assert _HAN.search(option_help(option)), "locale/parts/training_options.po lacks its help"
        assert _HAN.search(group_title(option.group)), option.group
        assert option_label(option.name) in _NAMES or _HAN.search(option_label(option.name))
    assert option_help(option) == option.help


def test_every_choice_has_its_words() -> None:
    for option in settable_options():
        for choice in option.choices or ():
            known = {f"{option.name}.{choice}", choice} & set(option_words._CHOICES)
            assert known, f"name {option.name}: {choice} in modelhub/option_words.py"
            words = choice_label(option.name, choice)
            folded = words.casefold().replace("-", "")
            assert choice.replace("-", "") in folded, "what a recipe has for it is seen"


def test_no_words_are_kept_for_options_that_are_gone() -> None:
    options = {option.name: option for option in training_options()}
    assert set(option_words._LABELS) == set(options)
    assert set(option_words._GROUPS) == {option.group for option in options.values()}
    choices = {
        key
        for option in options.values()
        for choice in option.choices or ()
        for key in (choice, f"{option.name}.{choice}")
    }
    assert set(option_words._CHOICES) <= choices


def test_values_are_words() -> None:
    assert choice_label("schedule", "cosine") == "Cosine decay (cosine)"
    assert choice_label("method", "lora") == "LoRA"
    assert option_value("r_drop", None) == "—"
    assert option_value("packing", True) == "yes"
    assert option_value("augmentation", ["typo", "swap"]) == "Typos (typo), Random swap (swap)"
    assert option_value("base", "packaged") == "packaged"
    assert option_value("parent", "finance.sentiment v1") == "finance.sentiment v1"
    assert option_label("of_an_old_run") == "of_an_old_run"
    with translation.override("zh-hans"):
        assert option_label("learning_rate") == "学习率"
        assert option_value("keep", "best") == "最佳轮次 (best)"
