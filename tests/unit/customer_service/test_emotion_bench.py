"""What the measurement of emotions reads, and how it is told."""

from __future__ import annotations

from collections import Counter

import pytest

from apps.customer_service.inference.understanding import emotion_of
from bench.customer import emotions
from bench.training.data import data_directory


def _data() -> bool:
    try:
        return (data_directory() / "goemotions").is_dir()
    except FileNotFoundError:
        return False


needs_data = pytest.mark.skipif(not _data(), reason="the data sets are not on this machine")


@needs_data
def test_goemotions_come_in_ekmans_groups() -> None:
    split = emotions.goemotions()
    assert (len(split.train), len(split.validation), len(split.test)) == (43_410, 5_426, 5_427)
    found = Counter(label for row in split.train for label in row["labels"])
    assert set(found) == set(emotions.EKMAN)
    assert found.most_common(1)[0][0] == "joy"


@needs_data
def test_general_posts_are_learned_from_but_never_tested_on() -> None:
    own, more = emotions.smp2020(), emotions.smp2020("and general posts")
    assert (len(own.test), own.test) == (3000, more.test)
    assert len(more.train) > len(own.train) + 6000
    assert {row["label"] for row in more.train} == {row["label"] for row in own.train}


def test_every_label_of_both_sets_is_one_of_our_four() -> None:
    names = {name for text in emotions.EKMAN.values() for name in text.split()}
    names |= {"angry", "sad", "fear", "happy", "surprise", "neutral"}
    assert [name for name in sorted(names) if emotion_of(name) is None] == []


def test_a_summary_is_the_mean_over_seeds() -> None:
    rows = [
        {"data": "A", "way": "w", "figure": "macro F1", "value": value, "seconds": 2.0}
        for value in (0.6, 0.7)
    ]
    [told] = emotions.summarise(rows)
    assert (told["value"], told["runs"]) == (pytest.approx(0.65), 2)
