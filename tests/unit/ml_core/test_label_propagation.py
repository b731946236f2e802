from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_core_helpers import make_rows, write_csv

from ml_core.evaluation import evaluate
from ml_core.label_propagation import propagate_labels
from ml_core.registry.artifact import CARD
from ml_core.training import ConfigError, TrainConfig, train

Options = dict[str, Any]


def two_arcs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions along an inner and an outer arc, and which of them each is on."""
    generator = np.random.default_rng(0)
    turn = np.linspace(0, 1.5 * np.pi, count)
    arcs = [
        np.stack([radius * np.cos(turn), radius * np.sin(turn), np.ones(count)], axis=1)
        for radius in (1, 2)
    ]
    states = np.concatenate(arcs) + generator.normal(0, 0.03, (2 * count, 3))
    return states, np.repeat([0, 1], count)


def test_labels_follow_the_shape_of_the_data() -> None:
    states, truth = two_arcs(100)
    known = [12, 187]  # near opposite ends
    start = np.full((200, 2), 0.5)
    start[known] = np.eye(2)[truth[known]]
    shares = propagate_labels(states, start, neighbours=6)
    assert shares.shape == (200, 2)
    assert np.allclose(shares.sum(axis=1), 1)
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    by_nearest = ((unit @ unit[known].T).argmax(axis=1) == truth).mean()
    assert (shares.argmax(axis=1) == truth).mean() > 0.9 > by_nearest + 0.3


def test_what_cannot_be_spread_is_said() -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        propagate_labels(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="fewer than two rows"):
        propagate_labels(np.ones((1, 2)), np.ones((1, 2)))


def test_a_model_learns_from_the_neighbours_of_its_rows(
    tiny_options: Options, tmp_path: Path
) -> None:
    unlabelled = tmp_path / "texts.csv"
    texts = [text for text, _ in make_rows(200, seed=22)]
    unlabelled.write_text("text\n" + "".join(f"{text}\n" for text in texts))
    options = tiny_options | {
        "train": write_csv(tmp_path / "train.csv", make_rows(24, seed=21)),
        "unlabelled": unlabelled,
        "label_propagation": True,
        "epochs": 1,
    }
    artifact = train(TrainConfig(**options, propagation_share=0.5, out=tmp_path / "half"))
    record = artifact.manifest.options["label_propagation"]
    assert 100 < record["texts"] <= 200
    assert record["taken"] == round(record["texts"] / 2)
    assert "label of their neighbours" in " ".join((artifact.path / CARD).read_text().split())
    # What the manifest reports is what the artefact answers.
    rows = write_csv(tmp_path / "dev.csv", make_rows(60, seed=3))
    again = train(TrainConfig(**(options | {"validation": rows}), out=tmp_path / "all"))
    report = evaluate(again, rows)
    assert report.summary()["accuracy"] == again.manifest.metrics["accuracy"]


def test_propagation_needs_texts(tiny_options: Options, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unlabelled: missing; label_propagation needs"):
        train(TrainConfig(**tiny_options, label_propagation=True, out=tmp_path / "m"))
    texts = tmp_path / "texts.csv"
    texts.write_text("text\n" + "".join(f"{text}\n" for text, _ in make_rows(30, seed=2)))
    with pytest.raises(ConfigError, match="cannot be had together with pseudo_labels"):
        train(
            TrainConfig(
                **tiny_options,
                unlabelled=texts,
                label_propagation=True,
                pseudo_labels=True,
                out=tmp_path / "m",
            )
        )
    train_rows = Path(tiny_options["train"])
    with pytest.raises(ConfigError, match="has no text that is not known"):
        train(
            TrainConfig(
                **tiny_options, unlabelled=train_rows, label_propagation=True, out=tmp_path / "m"
            )
        )
