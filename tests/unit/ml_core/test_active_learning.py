from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.active_learning import STRATEGIES, bald, entropy, margin, select
from ml_core.pseudo_labels import PoorCalibration, class_thresholds, pseudo_labels


def pool(rows: int = 60, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of five passes, and embeddings."""
    generator = np.random.default_rng(seed)
    passes = generator.dirichlet(np.ones(classes), (5, rows))
    return passes, generator.normal(size=(rows, 8))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("multi_label", [False, True])
def test_k_different_rows_and_the_same_for_the_same_seed(strategy: str, multi_label: bool) -> None:
    passes, embeddings = pool()
    chosen = select(passes, embeddings, 20, strategy=strategy, seed=5, multi_label=multi_label)
    again = select(passes, embeddings, 20, strategy=strategy, seed=5, multi_label=multi_label)
    assert chosen.tolist() == again.tolist()
    assert len(set(chosen.tolist())) == 20
    assert set(chosen.tolist()) <= set(range(60))
    everything = select(passes, embeddings, 99, strategy=strategy, multi_label=multi_label)
    assert sorted(everything.tolist()) == list(range(60))


@pytest.mark.parametrize("strategy", ["entropy", "margin", "least-confidence"])
def test_the_most_uncertain_row_comes_first(strategy: str) -> None:
    probabilities = np.array([[0.98, 0.01, 0.01], [0.34, 0.33, 0.33], [0.7, 0.2, 0.1]])
    assert select(probabilities, None, 3, strategy=strategy).tolist() == [1, 2, 0]


def test_a_label_near_a_half_makes_a_multi_label_row_uncertain() -> None:
    probabilities = np.array([[0.9, 0.9, 0.9], [0.02, 0.5, 0.98]])
    assert select(probabilities, None, 1, strategy="margin", multi_label=True).tolist() == [1]
    assert select(probabilities, None, 1, strategy="entropy", multi_label=True).tolist() == [0]


def test_bald_wants_disagreement_not_noise() -> None:
    noisy = [[0.5, 0.5], [0.5, 0.5]]
    torn = [[1.0, 0.0], [0.0, 1.0]]
    passes = np.swapaxes(np.array([noisy, torn]), 0, 1)
    assert bald(passes) == pytest.approx([0.0, np.log(2)])
    assert select(passes, None, 1, strategy="bald").tolist() == [1]


def test_core_set_covers_clusters_and_keeps_away_from_labelled_rows() -> None:
    generator = np.random.default_rng(0)
    centres = np.array([[0, 0], [50, 0], [0, 50], [50, 50]])
    embeddings = np.repeat(centres, 10, axis=0) + generator.normal(size=(40, 2))
    uniform = np.full((40, 2), 0.5)
    chosen = select(uniform, embeddings, 4, strategy="core-set")
    assert sorted(index // 10 for index in chosen.tolist()) == [0, 1, 2, 3]
    others = select(uniform, embeddings, 3, strategy="core-set", labelled_embeddings=centres[:1])
    assert sorted(index // 10 for index in others.tolist()) == [1, 2, 3]


def test_badge_prefers_uncertain_rows_of_different_kinds() -> None:
    generator = np.random.default_rng(0)
    embeddings = np.repeat([[10.0, 0.0], [0.0, 10.0], [-7.0, -7.0]], 20, axis=0)
    embeddings += generator.normal(scale=0.1, size=embeddings.shape)
    probabilities = np.tile([0.5, 0.5], (60, 1))
    sure = np.arange(60) % 2 == 0
    probabilities[sure] = [0.999, 0.001]
    for seed in range(20):
        chosen = select(probabilities, embeddings, 3, strategy="badge", seed=seed)
        # All sure rows are near zero as gradients: one kind among four.
        assert sure[chosen].sum() <= 1
        kinds = [index // 20 for index in chosen.tolist() if not sure[index]]
        assert len(kinds) == len(set(kinds))


def test_badge_is_k_means_plus_plus_on_the_real_gradients() -> None:
    passes, embeddings = pool(30, 3)
    probabilities = passes[0]
    errors = probabilities - np.eye(3)[probabilities.argmax(1)]
    gradients = (errors[:, :, None] * embeddings[:, None, :]).reshape(30, -1)
    first = select(probabilities, embeddings, 1, strategy="badge")[0]
    assert first == np.linalg.norm(gradients, axis=1).argmax()


def test_cluster_margin_takes_from_every_cluster() -> None:
    generator = np.random.default_rng(0)
    embeddings = np.repeat([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]], [40, 5, 5], axis=0)
    embeddings += generator.normal(size=embeddings.shape)
    uniform = np.full((50, 2), 0.5)
    chosen = select(uniform, embeddings, 5, strategy="cluster-margin")
    groups = {0 if index < 40 else 1 + (index - 40) // 5 for index in chosen.tolist()}
    assert groups == {0, 1, 2}


def test_copies_of_one_row_do_not_fill_the_choice_twice() -> None:
    probabilities = np.full((10, 2), 0.5)
    embeddings = np.ones((10, 3))
    for strategy in ("badge", "core-set", "cluster-margin"):
        chosen = select(probabilities, embeddings, 6, strategy=strategy)
        assert len(set(chosen.tolist())) == 6


@given(st.integers(1, 20), st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_scores_are_within_their_bounds(rows: int, classes: int) -> None:
    probabilities = np.random.default_rng(rows).dirichlet(np.ones(classes), rows)
    assert (
        (entropy(probabilities) >= 0) & (entropy(probabilities) <= np.log(classes) + 1e-9)
    ).all()
    assert ((margin(probabilities) >= 0) & (margin(probabilities) <= 1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "guess"}, "'guess' is unknown; use random"),
        ({"strategy": "badge", "embeddings": None}, "embedding for each of 4 rows, got none"),
        ({"strategy": "badge", "embeddings": np.ones((3, 2))}, "got 3"),
        ({"strategy": "bald"}, "several passes"),
        ({"k": 0}, "cannot choose 0 of 4"),
        ({"probabilities": np.ones(4)}, "shape"),
        ({"probabilities": np.full((4, 2), np.nan)}, "not all finite"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    values = {
        "probabilities": np.full((4, 2), 0.5), "embeddings": np.ones((4, 2)), "k": 2,
        "strategy": "entropy",
    } | arguments  # fmt: skip
    with pytest.raises(ValueError, match=message):
        select(**values)


def calibrated(
    rows: int, seed: int, *, overconfident: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three classes and labels drawn from them."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet([0.3, 0.3, 0.3], rows)
    truth = np.array([generator.choice(3, p=row) for row in probabilities])
    if overconfident:
        probabilities = np.eye(3)[probabilities.argmax(1)] * 0.97 + 0.01
    return probabilities, truth


def test_pseudo_labels_are_as_right_as_asked() -> None:
    validation, validation_truth = calibrated(600, 0)
    probabilities, truth = calibrated(2000, 1)
    chosen = pseudo_labels(
        probabilities,
        validation_probabilities=validation,
        validation_truth=validation_truth,
        precision=0.95,
    )
    assert 200 < len(chosen) < 2000
    assert (chosen.labels == truth[chosen.rows]).mean() > 0.92
    assert chosen.rows.tolist() == sorted(set(chosen.rows.tolist()))
    assert np.array_equal(chosen.weights, probabilities[chosen.rows].max(1))
    assert (chosen.weights >= chosen.thresholds[chosen.labels]).all()


def test_no_class_takes_more_than_its_share() -> None:
    validation, validation_truth = calibrated(600, 0)
    probabilities, _ = calibrated(900, 1)
    favourite = np.tile([0.98, 0.01, 0.01], (900, 1))
    chosen = pseudo_labels(
        np.concatenate([favourite, probabilities]),
        validation_probabilities=validation,
        validation_truth=validation_truth,
    )
    passing = (np.concatenate([favourite, probabilities]).max(1) >= chosen.thresholds.min()).sum()
    share = (validation_truth == 0).mean()
    assert (chosen.labels == 0).sum() <= np.ceil(share * passing)


def test_an_overconfident_model_does_not_choose() -> None:
    validation, truth = calibrated(300, 0, overconfident=True)
    with pytest.raises(PoorCalibration, match="calibration error on the validation part is 0"):
        pseudo_labels(validation, validation_probabilities=validation, validation_truth=truth)


def test_a_class_that_is_never_right_labels_nothing() -> None:
    probabilities = np.tile([[0.9, 0.1], [0.1, 0.9]], (20, 1))
    truth = np.zeros(40, dtype=int)
    thresholds = class_thresholds(probabilities, truth, precision=0.9)
    assert thresholds[0] == 0.9
    assert np.isinf(thresholds[1])


def test_pseudo_labels_need_enough_validation_rows_and_fitting_shapes() -> None:
    probabilities, truth = calibrated(20, 0)
    with pytest.raises(ValueError, match="20 validation rows; at least 30"):
        pseudo_labels(probabilities, validation_probabilities=probabilities, validation_truth=truth)
    with pytest.raises(ValueError, match="do not fit together"):
        pseudo_labels(
            probabilities, validation_probabilities=probabilities[:, :2], validation_truth=truth
        )
