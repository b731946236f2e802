"""A cross-encoder learns which document answers a query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matching_rows import judged_rows, write_jsonl

from ml_core.data import DataError
from ml_core.registry import Artifact
from ml_core.training import ConfigError, TrainConfig, train


@pytest.fixture(scope="module")
def options(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    rows = write_jsonl(tmp_path_factory.mktemp("judged") / "train.jsonl", judged_rows(90))
    return {
        "task": "reranking",
        "train": rows,
        "base": str(tiny_base),
        "max_length": 48,
        "learning_rate": 3e-3,
        "epochs": 2,
        "languages": ("en",),
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def reranker(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    out = tmp_path_factory.mktemp("reranker") / "model"
    return train(TrainConfig(**options, out=out))


def test_lists_of_documents_are_learned_from_and_ranked(reranker: Artifact) -> None:
    metrics = reranker.manifest.metrics
    assert reranker.manifest.options["rerank_loss"] == "list"
    assert metrics["headline"] == "ndcg_at_10"
    assert metrics["count"] == 9  # a tenth of the queries, each with all its documents
    assert metrics["candidates"] == 4
    assert {"mrr_at_10", "average_precision", "auroc"} <= metrics.keys()
    assert len(metrics["intervals"]["average_precision"]) == 2


def test_a_saved_model_scores_what_it_scored_when_it_was_trained(
    reranker: Artifact, options: dict[str, Any], tmp_path: Path
) -> None:
    from ml_core.tasks.reading import read_data
    from ml_core.tasks.reranking import evaluate_artifact

    data = read_data(TrainConfig(**options, out=tmp_path / "unused"))
    rows = write_jsonl(tmp_path / "rows.jsonl", [row.content for row in data.validation])
    report = evaluate_artifact(reranker.path, rows, "cpu").to_dict()
    for key in ("ndcg_at_10", "mrr_at_10", "average_precision"):
        assert report[key] == pytest.approx(reranker.manifest.metrics[key], abs=1e-5)


def test_documents_of_a_query_are_ranked_by_their_scores(reranker: Artifact) -> None:
    from ml_core.models.reranking import RerankingPredictor

    predictor = RerankingPredictor.load(reranker, device="cpu")
    documents = ["the bank rises", "a lawsuit of the group today", "market"]
    scores = predictor.scores([("lawsuit", each) for each in documents])
    ranked = predictor.rank("lawsuit", documents)
    assert [place for place, _ in ranked] == np.argsort(-scores).tolist()
    alone = [predictor.scores([("lawsuit", each)])[0] for each in documents]
    np.testing.assert_allclose(scores, alone, atol=1e-5)
    several, single = predictor.predict_rows(
        [
            {"query": "lawsuit", "documents": documents},
            {"query": "lawsuit", "document": documents[0]},
        ]
    )
    assert [each["place"] for each in several["ranking"]] == [place for place, _ in ranked]
    assert 0 <= single["score"] <= 1
    with pytest.raises(ValueError, match="'query'"):
        predictor.predict_rows([{"document": "x"}])


def test_pairs_without_other_documents_get_a_report_of_pairs(
    options: dict[str, Any], tmp_path: Path
) -> None:
    rows = [row | {"query": f"{row['query']} {n}"} for n, row in enumerate(judged_rows(40))]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    values = options | {"train": data, "epochs": 1}
    artifact = train(TrainConfig(**values, out=tmp_path / "model"))
    assert artifact.manifest.options["rerank_loss"] == "pairs"
    assert artifact.manifest.metrics["kind"] == "pairs"
    assert artifact.manifest.metrics["headline"] == "average_precision"
    with pytest.raises(ConfigError, match="list needs queries"):
        train(TrainConfig(**values, rerank_loss="list", out=tmp_path / "other"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row | {"label": 0} for row in judged_rows(5)], "no row has a relevant document"),
        ([row | {"label": 1} for row in judged_rows(5)], "no row has an irrelevant document"),
        (judged_rows(1), "same query, so none can be split off"),
        ([{"query": "a", "document": "b", "label": 2}], "neither 0 nor 1"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_named(
    options: dict[str, Any], tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError, match=message):
        train(TrainConfig(**options | {"train": data}, out=tmp_path / "model"))


def test_a_long_list_is_learned_from_in_parts_with_both_kinds() -> None:
    from ml_core.tasks.reranking import _parts

    parts = list(_parts([0, 1], list(range(2, 15)), 6))
    assert all(len(part) == len(set(part)) <= 6 for part in parts)
    assert all(0 in part and any(place > 1 for place in part) for part in parts)
    assert {place for part in parts for place in part} == set(range(15))
    assert not list(_parts([], [1, 2], 6))


def test_the_list_loss_is_the_cross_entropy_of_each_query(
    options: dict[str, Any], tmp_path: Path
) -> None:
    import torch

    from ml_core.tasks.reading import read_data
    from ml_core.tasks.reranking import Reranking

    config = TrainConfig(**options, out=tmp_path / "unused")
    task = Reranking(config, read_data(config))
    scores = torch.tensor([2.0, 1.0, 0.0, 50.0, -50.0])
    labels = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0])
    total = task._total(scores, labels, torch.tensor([0, 0, 0, 1, 1]))
    shares = scores[:3].log_softmax(0)
    assert float(total) == pytest.approx(-float(shares[0] + shares[2]) / 2, abs=1e-5)
