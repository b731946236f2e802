"""Temperature scaling, thresholds and out-of-scope detection do what they promise."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss, f1_score, log_loss

from ml_core.evaluation import (
    OutOfScopeDetector,
    brier_score,
    classwise_calibration_error,
    expected_calibration_error,
    fit_out_of_scope,
    fit_temperature,
    negative_log_likelihood,
    out_of_scope_scores,
    reliability_bins,
    softmax,
    tune_thresholds,
)
from ml_core.evaluation.out_of_scope import LOGIT_SCORES, SCORES, logit_score


def drawn(count: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``sharpness`` times too large for the labels drawn from them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (count, 5))
    cumulative = softmax(logits).cumsum(1)
    truth = (generator.random((count, 1)) < cumulative).argmax(1)
    return sharpness * logits, truth


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_the_temperature_undoes_a_known_sharpness(sharpness: float) -> None:
    logits, truth = drawn(4000, sharpness)
    fit = fit_temperature(logits, truth)
    assert fit.temperature == pytest.approx(sharpness, rel=0.08)
    assert fit.nll_after <= fit.nll_before + 1e-4
    assert fit.ece_after < 0.03
    # Platt's targets: the truth but for a share of 1 / (n + 2), which the other labels have.
    targets = np.full(logits.shape, 1 / 4002 / (logits.shape[1] - 1))
    targets[np.arange(4000), truth] = 4001 / 4002
    found = minimize_scalar(
        lambda t: -(targets * np.log(softmax(logits / t))).sum(),
        bounds=(0.05, 20),
        method="bounded",
    )
    assert fit.temperature == pytest.approx(found.x, rel=1e-3)


def test_temperatures_at_the_limits() -> None:
    all_right = np.eye(3) * 2
    assert fit_temperature(all_right, np.array([1, 2, 0])).temperature == pytest.approx(
        20, rel=0.01
    )
    for logits, truth in ((np.zeros((0, 2)), []), (np.zeros(3), [0, 0, 0]), ([[np.nan, 1]], [0])):
        with pytest.raises(ValueError, match="logits"):
            fit_temperature(np.asarray(logits), np.asarray(truth))


def test_right_answers_in_a_row_are_no_certainty() -> None:
    """Where all n rows are right by the same margin, each label gets what Platt's rule gives it."""
    for count in (3, 30, 300):
        truth = np.arange(count) % 3
        fit = fit_temperature(np.eye(3)[truth] * 4, truth)
        sure = softmax(np.array([4, 0, 0]) / fit.temperature).max()
        assert sure == pytest.approx(1 - 1 / (count + 2), rel=1e-6)
        assert fit.temperature > 0.3
    # Margins that differ: nobody is made surer than the rows can tell.
    generator = np.random.default_rng(0)
    truth = np.arange(60) % 6
    logits = np.eye(6)[truth] * generator.uniform(3, 9, (60, 1))
    fit = fit_temperature(logits, truth)
    assert softmax(logits / fit.temperature).max(1).mean() == pytest.approx(1 - 1 / 62, abs=0.01)


def test_measures_of_calibration_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    truth = np.array([0, 1, 1, 0])
    # Each of the four in a bin of its own.
    assert expected_calibration_error(probabilities, truth) == pytest.approx(
        (0.1 + 0.8 + 0.3 + 0.4) / 4
    )
    assert classwise_calibration_error(probabilities, truth) == pytest.approx(0.4)
    assert brier_score(probabilities, truth) == pytest.approx(
        2 * brier_score_loss(truth, probabilities[:, 1])
    )
    assert negative_log_likelihood(probabilities, truth) == pytest.approx(
        log_loss(truth, probabilities)
    )
    bins = reliability_bins(probabilities.max(1), np.array([True, False, True, True]))
    assert [found.count for found in bins] == [1, 1, 1, 1]
    assert bins[-1].low <= 0.9 < bins[-1].high
    assert negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) < math.inf


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000))
def test_thresholds_are_never_worse_than_one_half_where_they_were_tuned(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, (40, 3))
    probabilities = np.round(np.clip(0.3 * truth + 0.6 * generator.random((40, 3)), 0, 1), 2)
    thresholds = tune_thresholds(probabilities, truth)
    for label in range(3):
        tuned, plain = (
            f1_score(truth[:, label], probabilities[:, label] >= limit, zero_division=0)
            for limit in (thresholds[label], 0.5)
        )
        assert tuned >= plain - 1e-12


def test_a_rare_label_takes_the_threshold_of_all() -> None:
    truth = np.zeros((40, 2), dtype=int)
    truth[:20, 0] = 1
    truth[0, 1] = 1
    probabilities = np.where(truth == 1, 0.3, 0.1)
    thresholds = tune_thresholds(probabilities, truth)
    assert thresholds == pytest.approx([0.2, 0.2])
    with pytest.raises(ValueError, match="shape"):
        tune_thresholds(probabilities, truth[:, :1])


def test_scores_of_logits_by_hand() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1]]))
    assert logit_score("max_probability", logits) == pytest.approx(0.7)
    assert logit_score("margin", logits) == pytest.approx(0.5)
    assert logit_score("energy", logits) == pytest.approx(0.0)
    entropy = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))
    assert logit_score("entropy", logits) == pytest.approx(-entropy)
    assert logit_score("energy", np.array([[1000.0, 0.0]])) == pytest.approx(1000)
    assert logit_score("margin", np.zeros((2, 1))) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="not a score"):
        logit_score("luck", logits)


class World:
    """Three labels around three points; out-of-scope texts around the origin."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = np.random.default_rng(seed)
        self.means = 4 * np.eye(3, 8)
        self.train, self.train_truth = self.inside(150)
        self.embeddings, self.truth = self.inside(300)
        self.outside = self.generator.normal(0, 0.7, (100, 8))

    def inside(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        truth = self.generator.integers(0, 3, count)
        return self.means[truth] + self.generator.normal(0, 1, (count, 8)), truth

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        return embeddings @ self.means.T


@pytest.mark.parametrize("score", SCORES)
def test_every_score_parts_what_is_far_apart(score: str) -> None:
    world = World()
    logits, out_logits = world.logits(world.embeddings), world.logits(world.outside)
    detector = fit_out_of_scope(
        logits,
        world.truth,
        score=score,
        in_scope_recall=0.9,
        embeddings=world.embeddings,
        train_embeddings=world.train,
        train_truth=world.train_truth,
    )
    accepted = detector.in_scope(logits, world.embeddings)
    assert accepted.mean() == pytest.approx(0.9, abs=0.01)
    outside = detector.scores(out_logits, world.outside)
    found = out_of_scope_scores(
        detector.scores(logits, world.embeddings),
        logits.argmax(1) == world.truth,
        outside,
        threshold=detector.threshold,
    )
    assert found.auroc > 0.8
    assert found.out_of_scope_recall == pytest.approx((outside < detector.threshold).mean())
    low, high = found.intervals["auroc"].low, found.intervals["auroc"].high
    assert low <= found.auroc <= high


def test_a_detector_survives_its_manifest() -> None:
    world = World()
    logits = world.logits(world.embeddings)
    for score in ("energy", "combined", "knn"):
        detector = fit_out_of_scope(
            logits,
            world.truth,
            score=score,
            embeddings=world.embeddings,
            train_embeddings=world.train,
            train_truth=world.train_truth,
        )
        values = json.loads(json.dumps(detector.to_dict(), allow_nan=False))
        again = OutOfScopeDetector.from_dict(values, detector.arrays)
        same = again.in_scope(logits, world.embeddings)
        assert (same == detector.in_scope(logits, world.embeddings)).all()


def test_the_threshold_keeps_the_wanted_accuracy_and_no_more() -> None:
    world = World()
    logits = world.logits(world.embeddings)
    right = logits.argmax(1) == world.truth
    detector = fit_out_of_scope(logits, world.truth, score="energy", in_scope_accuracy=0.9)
    scores = detector.scores(logits)
    kept = (scores >= detector.threshold) & right
    assert kept.mean() >= 0.9
    assert ((scores > detector.threshold) & right).mean() < 0.9, "a higher one would not do"
    with pytest.raises(ValueError, match="cannot be had"):
        fit_out_of_scope(logits, (world.truth + 1) % 3, in_scope_accuracy=0.9)


def test_out_of_scope_rows_choose_score_and_threshold() -> None:
    world = World()
    logits, out_logits = world.logits(world.embeddings), world.logits(world.outside)
    detector = fit_out_of_scope(
        logits,
        world.truth,
        score="best",
        embeddings=world.embeddings,
        train_embeddings=world.train,
        train_truth=world.train_truth,
        out_logits=out_logits,
        out_embeddings=world.outside,
    )
    inside = detector.scores(logits, world.embeddings)
    outside = detector.scores(out_logits, world.outside)
    right = logits.argmax(1) == world.truth
    found = out_of_scope_scores(inside, right, outside, threshold=detector.threshold)
    for other in np.concatenate([inside, outside, [np.inf]]):
        answers = ((inside >= other) & right).sum() + (outside < other).sum()
        assert answers / (len(inside) + len(outside)) <= found.accuracy + 1e-9
    assert found.auroc > 0.9


def test_definitions_of_clinc150_by_hand() -> None:
    in_scores = np.array([0.9, 0.8, 0.7, 0.2])
    right = np.array([True, True, False, True])
    out_scores = np.array([0.75, 0.1])
    found = out_of_scope_scores(in_scores, right, out_scores, threshold=0.5, wanted_accuracy=0.75)
    assert found.in_scope_accuracy == pytest.approx(2 / 4), "the refused one counts as wrong"
    assert found.out_of_scope_recall == pytest.approx(1 / 2)
    assert found.out_of_scope_precision == pytest.approx(1 / 2)
    assert found.accuracy == pytest.approx(3 / 6)
    assert found.recall_at_accuracy == pytest.approx(1 / 2), "three of four right need 0.2"
    unreachable = out_of_scope_scores(in_scores, right, out_scores, threshold=0.5)
    assert math.isnan(unreachable.recall_at_accuracy)


def test_what_a_fit_needs_is_said() -> None:
    logits, truth = drawn(20, 1.0)
    for wrong, message in (
        ({"score": "luck"}, "is not one of"),
        ({"score": "knn"}, "train_embeddings"),
        ({"score": "best"}, "out-of-scope rows"),
        ({"in_scope_accuracy": 0.9, "in_scope_recall": 0.9}, "exclude"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_out_of_scope(logits, truth, **wrong)
    detector = OutOfScopeDetector("knn", 0.5)
    with pytest.raises(ValueError, match="needs embeddings"):
        detector.scores(logits)
    assert set(LOGIT_SCORES) < set(SCORES)
