"""Gathering questions: average linkage that goes on where it left off, by words that mean the same in either script."""

from __future__ import annotations

import numpy as np
import pytest

from apps.customer_service.inference.likeness import (
    likeness_vectors,
    word_vectors,
    word_weights,
)
from apps.customer_service.services.learning.clustering import gather
from bench.customer.clusters import pairs_scores

# Two pairs, and one between them that is nearer to the first.
ANGLES = (0.0, 10.0, 80.0, 90.0, 40.0)


def vectors(*angles: float) -> np.ndarray:
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def as_sets(groups: list[int]) -> set[frozenset[int]]:
    return {
        frozenset(at for at, group in enumerate(groups) if group == name) for name in set(groups)
    }


def test_the_most_alike_come_together_first() -> None:
    assert as_sets(gather(vectors(*ANGLES), alike=0.8)) == {frozenset({0, 1, 4}), frozenset({2, 3})}
    assert len(set(gather(vectors(*ANGLES), alike=0.999))) == 5
    assert gather(vectors(5.0), alike=0.5) == [0]
    assert gather(np.zeros((0, 2), np.float32), alike=0.5) == []


def test_the_order_in_which_they_stand_makes_no_difference() -> None:
    found = as_sets(gather(vectors(*ANGLES), alike=0.8))
    order = [3, 0, 4, 2, 1]
    turned = gather(vectors(*(ANGLES[at] for at in order)), alike=0.8)
    assert {frozenset(order[at] for at in group) for group in as_sets(turned)} == found


def test_it_goes_on_with_groups_as_if_their_questions_had_been_there() -> None:
    means = np.stack([vectors(0.0, 10.0).mean(0), vectors(80.0, 90.0).mean(0), *vectors(40.0)])
    assert gather(means, sizes=[2, 2, 1], alike=0.8) == [0, 1, 0]


def test_what_people_put_together_takes_others_in_and_stays_apart() -> None:
    assert gather(vectors(0.0, 1.0, 2.0), alike=0.8) == [0, 0, 0]
    groups = gather(vectors(0.0, 1.0, 2.0), alike=0.8, fixed=2)
    assert groups[:2] == [0, 1]
    assert groups[2] == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("轉帳手續費", "转账手续费"), ("gift card", "Gift Cards!"), ("ＡＢＣ 123", "abc 123")],
)
def test_spelling_makes_no_difference(one: str, other: str) -> None:
    texts = [one, other, "something else 别的"]
    found = word_vectors(texts, word_weights(texts))
    assert found[0] @ found[1] > 0.6
    assert found[0] @ found[2] < 0.2


def test_texts_without_words_are_like_nothing() -> None:
    found = word_vectors(["", "???"], word_weights(["", "???"]))
    assert not found.any()


def test_likeness_is_the_weighted_mean_of_two_cosines() -> None:
    texts = ["gift card", "gift card for my mother"]
    words = word_vectors(texts, word_weights(texts))
    both = likeness_vectors(words, vectors(0.0, 60.0))
    assert float(both[0] @ both[1]) == pytest.approx(
        0.7 * 0.5 + 0.3 * float(words[0] @ words[1]), abs=1e-5
    )
    assert likeness_vectors(words, None) is words


def test_scores_of_pairs() -> None:
    perfect = pairs_scores([0, 0, 1], ["a", "a", "b"])
    assert perfect == {"pairs_precision": 1.0, "pairs_recall": 1.0, "pairs_f1": 1.0}
    assert pairs_scores([0, 0, 0], ["a", "a", "b"])["pairs_precision"] == pytest.approx(1 / 3)
    assert pairs_scores([0, 1, 2], ["a", "a", "b"])["pairs_f1"] == 0.0
