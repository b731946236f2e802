"""Scores equal those computed by hand, by scikit-learn and by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from ml_core.evaluation import (
    auroc,
    average_precision,
    best_f1_threshold,
    bleu,
    bootstrap_mean,
    chrf,
    compare_labels,
    distinct_n,
    fpr_at_tpr,
    hit_at,
    mean_precision,
    ndcg,
    one_versus_rest_auroc,
    paired_bootstrap,
    pearson,
    recall_at,
    reciprocal_rank,
    repetition,
    spearman,
)
from ml_core.evaluation.generation import bleu_tokenizer, generation_intervals
from ml_core.evaluation.intervals import mean_of_sums
from ml_core.evaluation.metrics import averages_of_counts, confusion_counts, confusion_matrix

SCORED = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0]), st.integers(0, 1)),
    min_size=2,
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_averages_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    found = averages_of_counts(*confusion_counts(confusion_matrix(truth, predicted, 4)))
    for name, scores in found.items():
        expected = reference.precision_recall_fscore_support(
            truth, predicted, average=name, zero_division=0
        )
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx(expected[:3])


@settings(deadline=None, max_examples=60)
@given(rows=SCORED)
def test_curves_are_those_of_scikit_learn_ties_included(rows: list[tuple[float, int]]) -> None:
    scores, truth = (np.array(column) for column in zip(*rows, strict=True))
    assume(0 < truth.sum() < len(truth))
    assert auroc(scores, truth) == pytest.approx(reference.roc_auc_score(truth, scores))
    expected = reference.average_precision_score(truth, scores)
    assert average_precision(scores, truth) == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(rows=SCORED)
def test_a_weight_of_two_is_the_row_twice(rows: list[tuple[float, int]]) -> None:
    scores, truth = (np.array(column) for column in zip(*rows, strict=True))
    assume(0 < truth.sum() < len(truth))
    weights = np.arange(len(truth)) % 2 + 1
    twice = np.repeat(np.arange(len(truth)), weights)
    table = np.stack([np.ones(len(truth)), weights])
    for curve in (auroc, average_precision):
        plain, weighted = curve(scores, truth, table)
        assert plain == pytest.approx(curve(scores, truth))
        assert weighted == pytest.approx(curve(scores[twice], truth[twice]))


@settings(deadline=None, max_examples=60)
@given(rows=SCORED)
def test_no_threshold_has_a_better_f1_than_the_best(rows: list[tuple[float, int]]) -> None:
    scores, truth = (np.array(column) for column in zip(*rows, strict=True))
    assume(truth.sum() > 0)
    f1, threshold = best_f1_threshold(scores, truth)
    assert reference.f1_score(truth, scores >= threshold) == pytest.approx(f1)
    for other in np.unique(scores):
        assert reference.f1_score(truth, scores >= other) <= f1 + 1e-12


def test_curves_without_both_kinds_are_undefined_not_wrong() -> None:
    assert math.isnan(auroc(np.array([0.1, 0.9]), np.array([1, 1])))
    assert math.isnan(average_precision(np.array([0.1, 0.9]), np.array([0, 0])))
    assert math.isnan(fpr_at_tpr(np.array([0.1]), np.array([1])))
    assert math.isnan(one_versus_rest_auroc(np.ones((3, 1)), np.zeros(3, dtype=int)))
    assert best_f1_threshold(np.array([0.3]), np.array([0])) == (0.0, 0.5)
    with pytest.raises(ValueError, match="NaN"):
        auroc(np.array([np.nan, 1.0]), np.array([0, 1]))


def test_false_positives_at_95_percent_recall() -> None:
    positives = np.linspace(1, 2, 20)  # 19 of 20 are at or above the second lowest
    negatives = np.array([0.5, 1.02, 1.06, 3.0])
    scores = np.concatenate([positives, negatives])
    truth = np.r_[np.ones(20), np.zeros(4)]
    assert fpr_at_tpr(scores, truth) == pytest.approx(2 / 4)
    assert fpr_at_tpr(scores, truth, tpr=1.0) == pytest.approx(3 / 4)


def test_one_versus_rest_auroc_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    probabilities = generator.dirichlet(np.ones(4), 60)
    truth = generator.integers(0, 4, 60)
    expected = reference.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    assert one_versus_rest_auroc(probabilities, truth) == pytest.approx(expected)


def test_ranking_by_hand() -> None:
    gains, relevant = [0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0]
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(gains, relevant, 10) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert ndcg(gains, relevant, 1) == 0
    assert recall_at(gains, relevant, 2) == pytest.approx(1 / 3)
    assert hit_at(gains, 1) == 0
    assert hit_at(gains, 2) == 1
    assert reciprocal_rank(gains, 10) == pytest.approx(0.5)
    assert reciprocal_rank(gains, 1) == 0
    assert mean_precision(gains, relevant) == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert ndcg([], [], 5) == recall_at([], [], 5) == mean_precision([], []) == 0


def test_graded_ndcg_is_that_of_scikit_learn() -> None:
    gains = np.array([2.0, 0.0, 3.0, 1.0, 0.0])
    expected = reference.ndcg_score(gains[None], -np.arange(5.0)[None], k=4)
    assert ndcg(gains.tolist(), gains.tolist(), 4) == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.integers(-5, 5), st.floats(-1e6, 1e6, width=32)), min_size=3, max_size=40
    )
)
def test_correlations_are_those_of_scipy(rows: list[tuple[int, float]]) -> None:
    x, y = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assume(np.ptp(x) > 0 and np.ptp(y) > 1e-3)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-6)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-6)


def test_a_constant_has_no_correlation() -> None:
    assert math.isnan(pearson(np.ones(5), np.arange(5.0)))
    assert math.isnan(spearman(np.arange(5.0), np.full(5, 0.1)))


def test_the_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    interval = bootstrap_mean(values)
    half = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)
    assert bootstrap_mean(values) == interval, "the same seed draws the same"
    with pytest.raises(ValueError, match="no examples"):
        bootstrap_mean(np.array([]))


def test_a_paired_difference_sees_what_two_intervals_cannot() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(400) < 0.7
    second = first.copy()
    second[np.flatnonzero(~first)[:15]] = True  # 15 texts better, none worse
    rows = [np.column_stack([right, np.ones(400)]).astype(float) for right in (first, second)]
    found = paired_bootstrap(rows[0], rows[1], mean_of_sums)
    assert found.difference == pytest.approx(15 / 400)
    assert found.interval.low > 0
    assert found.p_value < 0.01
    same = paired_bootstrap(rows[0], rows[0], mean_of_sums)
    assert (same.difference, same.p_value) == (0.0, 1.0)
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_bootstrap(rows[0], rows[1][:10], mean_of_sums)


def test_p_values_are_uniform_when_two_models_are_alike() -> None:
    generator = np.random.default_rng(5)
    small = 0
    for _ in range(200):
        rows = [
            np.column_stack([generator.random(100) < 0.8, np.ones(100)]).astype(float)
            for _ in range(2)
        ]
        small += paired_bootstrap(rows[0], rows[1], mean_of_sums, resamples=200).p_value < 0.1
    assert 5 <= small <= 40, "about 20 of 200 are below 0.1"


def test_two_models_compared_by_their_labels() -> None:
    truth = ["a", "b"] * 50
    first = ["a"] * 100
    second = ["a", "b"] * 45 + ["b", "a"] * 5
    found = compare_labels(truth, first, second)
    assert found["accuracy"].first == pytest.approx(0.5)
    assert found["accuracy"].second == pytest.approx(0.9)
    assert found["macro_f1"].first == pytest.approx(1 / 3)
    assert found["macro_f1"].p_value < 0.01
    with pytest.raises(ValueError, match="against"):
        compare_labels(truth, first, second[1:])


def test_chrf_and_bleu_are_those_of_sacrebleu() -> None:
    import sacrebleu

    hypotheses = ["the cat is on the mat", "a dog barks loudly at night", "hello there friend"]
    references = ["the cat sat on the mat", "the dog barks loudly at night", "hello my friend"]
    assert chrf(hypotheses, references) == pytest.approx(
        sacrebleu.corpus_chrf(hypotheses, [references]).score
    )
    assert bleu(hypotheses, references) == pytest.approx(
        sacrebleu.corpus_bleu(hypotheses, [references]).score
    )
    # What is taken from inside sacrebleu still means what it did: all draws of equal texts agree.
    intervals = generation_intervals([hypotheses[0]] * 4, [references[0]] * 4, tokenizer="13a")
    expected = chrf(hypotheses[:1] * 4, references[:1] * 4)
    assert (intervals["chrf"].low, intervals["chrf"].high) == pytest.approx((expected, expected))
    expected = bleu(hypotheses[:1] * 4, references[:1] * 4)
    assert intervals["bleu"].low == pytest.approx(expected)


def test_bleu_cuts_chinese_into_characters() -> None:
    references = ["我想预订一家便宜的酒店。", "请问地铁站在哪里？"]
    assert bleu_tokenizer(references) == "zh"
    assert bleu_tokenizer(["Where is the station?"]) == "13a"
    assert bleu(references, references) == pytest.approx(100)
    assert 0 < bleu(["我想预订一家贵的酒店。", "请问地铁站在哪里？"], references) < 100


def test_variety_of_texts() -> None:
    assert distinct_n(["a b a b"], 1) == pytest.approx(2 / 4)
    assert distinct_n(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct_n(["好好"], 1) == pytest.approx(1 / 2)
    assert distinct_n([], 1) == distinct_n(["one"], 2) == 0
    assert repetition("a b c d " * 5) == pytest.approx(1 - 4 / 17)
    assert repetition("one two three four five") == 0
