"""What comes next in a sequence of items, old and new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matching_rows import sequence_rows, write_items, write_jsonl
from ml_core_helpers import rewrite_manifest

from ml_core.data import DataError
from ml_core.registry import Artifact, ArtifactError
from ml_core.training import ConfigError, TrainConfig, train


@pytest.fixture(scope="module")
def options(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("sequences")
    return {
        "task": "next-item",
        "train": write_jsonl(directory / "train.jsonl", sequence_rows(160)),
        "items": write_items(directory / "items.jsonl"),
        "base": str(tiny_base),
        "max_length": 32,
        "learning_rate": 5e-3,
        "epochs": 4,
        "sequence_width": 32,
        "sequence_layers": 1,
        "languages": ("en",),
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def recommender(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    out = tmp_path_factory.mktemp("recommender") / "model"
    return train(TrainConfig(**options, out=out))


def test_the_next_item_of_a_regular_walk_is_found(recommender: Artifact) -> None:
    metrics = recommender.manifest.metrics
    assert metrics["headline"] == "ndcg_at_10"
    assert metrics["recall_at_1"] > 0.8
    assert metrics["candidates"] == 18
    assert metrics["count"] == 160


def test_a_saved_model_recommends_and_scores_as_it_did(
    recommender: Artifact, options: dict[str, Any]
) -> None:
    from ml_core.models.next_item_predictor import NextItemPredictor
    from ml_core.tasks.next_item import evaluate_artifact

    report = evaluate_artifact(recommender.path, options["train"], "cpu").to_dict()
    assert report["ndcg_at_10"] == recommender.manifest.metrics["ndcg_at_10"]
    predictor = NextItemPredictor.load(recommender.path, device="cpu")
    row, partly_known = predictor.predict_rows(
        [{"items": ["i3", "i4", "i5"]}, {"items": ["i3", "i4", "gone", "i5"]}]
    )
    assert row == partly_known
    assert row["next"][0]["item"] == "i6"
    assert len(row["next"]) == 10
    assert not {"i3", "i4", "i5"} & {each["item"] for each in row["next"]}
    again = predictor.recommend([["i3", "i4", "i5"]], count=18, repeat=True)
    assert len(again[0]) == 18
    for sequence, message in ((["i3", "i99"], "'i99' is not known"), ([], "without an item")):
        with pytest.raises(ValueError, match=message):
            predictor.scores([sequence])


def test_what_comes_later_changes_nothing_before(recommender: Artifact) -> None:
    import torch

    from ml_core.models.next_item_predictor import NextItemPredictor

    model = NextItemPredictor.load(recommender, device="cpu")._loaded.model
    table = model.item_table()
    first = model.states(torch.tensor([[1, 2, 3, 4]]), table)
    second = model.states(torch.tensor([[1, 2, 9, 9]]), table)
    torch.testing.assert_close(first[:, :2], second[:, :2])
    assert not torch.allclose(first[:, 2:], second[:, 2:])


def test_a_new_item_is_known_by_its_text(
    options: dict[str, Any], tmp_path: Path, recommender: Artifact
) -> None:
    from ml_core.models.next_item_predictor import NextItemPredictor

    artifact = train(TrainConfig(**options, item_ids="none", out=tmp_path / "model"))
    predictor = NextItemPredictor.load(artifact, device="cpu")
    texts = [json.loads(line) for line in options["items"].read_text().splitlines()]
    twin = next(row["text"] for row in texts if row["id"] == "i6")
    grown = predictor.with_items({"new": twin, "i1": "changed"})
    scores = grown.scores([["i3", "i4", "i5"]])
    assert scores.shape == (1, 19)
    assert scores[0, grown.items.index("new")] == pytest.approx(
        scores[0, grown.items.index("i6")], abs=1e-4
    )
    np.testing.assert_allclose(scores[:, :18], predictor.scores([["i3", "i4", "i5"]]), atol=1e-5)
    assert "new" not in predictor.items


def test_a_last_item_that_is_a_repetition_counts_as_not_found() -> None:
    from ml_core.data import Row
    from ml_core.tasks.next_item import sequences_report

    rows = [Row({"items": ["a", "b", "a"]}, {}, 1), Row({"items": ["a", "b", "c"]}, {}, 2)]
    even = np.zeros((2, 4), dtype=np.float32)
    report = sequences_report(rows, ["a", "b", "c", "d"], lambda _, __: even.copy()).to_dict()
    # Two of four are left after the items seen; all are scored alike, so the right one is second.
    assert report["recall_at_1"] == 0
    assert report["recall_at_5"] == 0.5
    assert report["mrr_at_10"] == 0.25
    assert report["candidates"] == 4


def test_a_large_catalogue_is_learned_from_by_samples(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_core.tasks.next_item.SAMPLED_FROM", 10)
    values = options | {"item_adaptor": "mlp"}
    artifact = train(TrainConfig(**values, sampled_items=16, out=tmp_path / "model"))
    assert artifact.manifest.metrics["recall_at_5"] > 0.6


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        ([{"items": ["i1", "i2"]}], {}, "no sequence has three items"),
        ([{"items": ["i1", "x", "i2"]}], {}, "line 1.*'x' is not in the file of items"),
        (sequence_rows(5), {"items": None}, "items: missing"),
        (sequence_rows(5), {"sequence_heads": 3}, "3 does not divide"),
    ],
)
def test_what_cannot_be_learned_from_is_named(
    options: dict[str, Any],
    tmp_path: Path,
    rows: list[dict[str, Any]],
    more: dict[str, Any],
    message: str,
) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises((DataError, ConfigError), match=message):
        train(TrainConfig(**options | {"train": data} | more, out=tmp_path / "model"))


def test_an_item_twice_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    items = write_jsonl(tmp_path / "items.jsonl", [{"id": "a", "text": "bank"}] * 2)
    with pytest.raises(DataError, match="'a' is there twice"):
        train(TrainConfig(**options | {"items": items}, out=tmp_path / "model"))


def test_a_changed_manifest_is_refused(recommender: Artifact, tmp_path: Path) -> None:
    import shutil

    from ml_core.models.next_item_predictor import NextItemPredictor

    copy = Path(shutil.copytree(recommender.path, tmp_path / "copy"))
    changed = recommender.manifest.options | {"sequence_layers": "many"}
    rewrite_manifest(copy, options=changed)
    with pytest.raises(ArtifactError, match="sequence_layers"):
        NextItemPredictor.load(copy, device="cpu")
