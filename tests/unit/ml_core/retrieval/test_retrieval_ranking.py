"""BM25 is bm25s's, mixtures are what they say, and the chosen weight is never worse where it was chosen."""

from __future__ import annotations

from collections import Counter

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.retrieval import (
    Bm25,
    Judged,
    fuse,
    paired_bootstrap,
    quality,
    ranking_scores,
    terms,
    tune_weight,
)

TEXTS = [
    "修改信用卡账单日",
    "转账手续费是多少，手续费最低两元",
    "gold card fee",
    "card card card",
    "rain",
]


@pytest.mark.parametrize("query", ["手续费", "信用卡 手续费", "card fee", "card"])
def test_bm25_equals_bm25s_on_the_same_terms(query):
    bags = [Counter(terms(text)) for text in TEXTS]
    known = {term for bag in bags for term in bag}
    asked = [term for term in dict.fromkeys(terms(query)) if term in known]
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([terms(text) for text in TEXTS], show_progress=False)
    lengths = np.array([bag.total() for bag in bags])
    found = Bm25().scores(
        [[bag[term] for term in asked] for bag in bags],
        lengths,
        having=[sum(term in bag for bag in bags) for term in asked],
        documents=len(bags),
        mean_length=float(lengths.mean()),
    )
    assert found == pytest.approx(index.get_scores(asked), rel=1e-5)
    bound = Bm25().bound(len(bags), [sum(term in bag for bag in bags) for term in asked])
    assert found.max() <= bound


def test_the_ends_of_the_weight_are_each_ranking_alone():
    cosines, bm25s_ = np.array([0.9, 0.1, -0.5]), np.array([0.0, 5.0, 10.0])
    assert fuse(cosines, bm25s_, 1.0, bound=10) == pytest.approx([0.9, 0.1, 0.0])
    assert fuse(cosines, bm25s_, 0.0, bound=15) == pytest.approx([0.0, 1 / 2, 2 / 3])
    with pytest.raises(ValueError, match="weight"):
        fuse(cosines, bm25s_, 1.1, bound=10)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_chosen_weight_is_never_worse_than_the_better_alone(seed, count):
    generator = np.random.default_rng(seed)
    questions = [
        Judged(generator.random(5), 10 * generator.random(5), 10.0, generator.random(5) < 0.3)
        for _ in range(count)
    ]

    def mean(weight: float) -> float:
        return float(quality([each.rank(weight) for each in questions]).mean())

    assert mean(tune_weight(questions)) >= max(mean(0.0), mean(1.0)) - 1e-12


def test_a_mixture_is_chosen_where_each_alone_errs():
    by_vectors = Judged([0.9, 0.8, 0.2], [2, 9, 1], 10, [False, True, False])
    by_words = Judged([0.8, 0.3, 0.9], [8, 9, 0.0], 10, [True, False, False])
    assert 0 < tune_weight([by_vectors, by_words] * 10) < 1


def test_ties_count_against_the_right_one_and_its_absence_is_no_hit():
    assert Judged([0.5, 0.5], [0, 0], 1, [True, False]).rank(1.0) == 2
    assert Judged([0.5, 0.5], [0, 0], 1, [False, False]).rank(1.0) == 0
    scores = ranking_scores([1, 3, 11, 0])
    assert scores["recall@1"].tolist() == [1, 0, 0, 0]
    assert scores["recall@5"].tolist() == [1, 1, 0, 0]
    assert scores["mrr@10"] == pytest.approx([1, 1 / 3, 0, 0])


def test_a_difference_has_its_interval():
    found = paired_bootstrap(np.zeros(50), np.ones(50))
    assert (found.difference, found.interval.low) == (1.0, 1.0)
