"""Texts as vectors: learning from pairs, losses, the artefact in other libraries' hands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matching_rows import pair_rows, scored_rows, write_jsonl

from ml_core.data import DataError
from ml_core.registry import Artifact
from ml_core.training import ConfigError, TrainConfig, train


@pytest.fixture(scope="module")
def options(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    rows = write_jsonl(tmp_path_factory.mktemp("pairs") / "train.jsonl", pair_rows(180))
    return {
        "task": "text-embedding",
        "train": rows,
        "base": str(tiny_base),
        "max_length": 32,
        "learning_rate": 3e-3,
        "epochs": 3,
        "languages": ("en",),
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def embedder(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    validation = write_jsonl(
        tmp_path_factory.mktemp("validation") / "rows.jsonl", pair_rows(18, seed=5)
    )
    out = tmp_path_factory.mktemp("embedder") / "model"
    return train(TrainConfig(**options, validation=validation, out=out))


def test_positives_come_to_stand_above_other_texts(embedder: Artifact) -> None:
    metrics = embedder.manifest.metrics
    assert metrics["kind"] == "ranking"
    assert metrics["headline"] == "ndcg_at_10"
    assert metrics["ndcg_at_10"] > 0.5  # 18 texts in any order: about .25
    assert {"recall_at_1", "recall_at_5", "recall_at_10", "mrr_at_10"} <= metrics.keys()
    assert metrics["candidates"] == 18


def test_a_saved_model_scores_what_it_scored_when_it_was_trained(
    embedder: Artifact, tmp_path: Path
) -> None:
    from ml_core.tasks.text_embedding import evaluate_artifact

    data = write_jsonl(tmp_path / "rows.jsonl", pair_rows(18, seed=5))
    report = evaluate_artifact(embedder.path, data, "cpu").to_dict()
    assert report["ndcg_at_10"] == embedder.manifest.metrics["ndcg_at_10"]
    assert report["worst_errors"][0]["line"] > 0


def test_embeddings_have_norm_one_and_rows_get_them(embedder: Artifact) -> None:
    from ml_core.models.embedding import EmbeddingPredictor

    predictor = EmbeddingPredictor.load(embedder, device="cpu")
    vectors = predictor.embed(["the bank rises", "a lawsuit", "the bank rises"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    short = predictor.embed(["the bank rises"], size=8)
    assert short.shape == (1, 8)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1, atol=1e-5)
    first, second = predictor.predict_rows(
        [{"text": "the bank rises"}, {"anchor": "the bank rises", "positive": "the bank rises"}]
    )
    assert len(first["embedding"]) == 32
    assert second["similarity"] == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="'text'"):
        predictor.predict_rows([{"words": "x"}])


def test_other_libraries_read_the_artefact(embedder: Artifact) -> None:
    from ml_core.models.embedding import EmbeddingPredictor

    texts = ["the bank rises today", "a lawsuit", "group"]
    ours = EmbeddingPredictor.load(embedder, device="cpu").embed(texts)
    sentence_transformers = pytest.importorskip("sentence_transformers")
    theirs = sentence_transformers.SentenceTransformer(str(embedder.path), device="cpu").encode(
        texts, normalize_embeddings=True
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("loss", "reached"), [("contrastive", 0.5), ("triplet", 0.35)])
def test_explicit_negatives_are_learned_from(
    options: dict[str, Any], tmp_path: Path, loss: str, reached: float
) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", pair_rows(180, negatives=True))
    config = TrainConfig(
        **options | {"train": rows}, pair_loss=loss, matryoshka=True, out=tmp_path / "model"
    )
    artifact = train(config)
    assert artifact.manifest.metrics["ndcg_at_10"] > reached
    assert artifact.manifest.options["embedding_sizes"] == [32, 16, 8, 4]


def test_a_low_rank_model_finds_its_base_again(options: dict[str, Any], tmp_path: Path) -> None:
    from ml_core.tasks.text_embedding import evaluate_artifact

    data = write_jsonl(tmp_path / "rows.jsonl", pair_rows(18, seed=5))
    values = options | {"validation": data, "method": "lora", "epochs": 1}
    artifact = train(TrainConfig(**values, out=tmp_path / "model"))
    assert artifact.manifest.adapter_only
    report = evaluate_artifact(artifact.path, data, "cpu").to_dict()
    assert report["ndcg_at_10"] == pytest.approx(artifact.manifest.metrics["ndcg_at_10"], abs=1e-3)


@pytest.mark.parametrize("adversarial", ["fgm", "pgd"])
def test_both_texts_of_a_pair_can_be_pushed(
    options: dict[str, Any], tmp_path: Path, adversarial: str
) -> None:
    values = options | {"epochs": 1, "adversarial": adversarial}
    artifact = train(TrainConfig(**values, out=tmp_path / "model"))
    assert artifact.manifest.metrics["count"] == 18


def test_scored_pairs_are_put_in_order(options: dict[str, Any], tmp_path: Path) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", scored_rows(300))
    values = options | {"train": rows, "epochs": 5}
    metrics = train(TrainConfig(**values, out=tmp_path / "model")).manifest.metrics
    assert metrics["kind"] == "pairs"
    assert metrics["headline"] == "spearman"
    assert metrics["spearman"] > 0.4


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        (pair_rows(20), {"pair_loss": "triplet"}, "line 1: the triplet loss needs a negative"),
        (pair_rows(20), {"pair_loss": "cosent"}, "cosent is for pairs with a score"),
        (scored_rows(20), {"pair_loss": "contrastive"}, "for pairs without a score"),
        ([*scored_rows(3), *pair_rows(3)], {}, "line 4: either all rows have a score or none"),
        (pair_rows(1), {}, "same anchor, so none can be split off"),
        ([row | {"positive": "one"} for row in pair_rows(20)], {}, "the same positive"),
        ([{"anchor": "x"}], {}, "positive"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_named(
    options: dict[str, Any],
    tmp_path: Path,
    rows: list[dict[str, Any]],
    more: dict[str, Any],
    message: str,
) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises((DataError, ConfigError), match=message):
        train(TrainConfig(**options | {"train": data} | more, out=tmp_path / "model"))


def test_options_of_pairs_are_refused_for_other_tasks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pair_loss: is for text-embedding"):
        TrainConfig(train=tmp_path / "x.csv", out=tmp_path / "m", pair_loss="triplet")


def test_the_contrastive_loss_is_the_textbook_one() -> None:
    import torch
    from torch.nn import functional

    from ml_core.tasks.pair_losses import contrastive

    torch.manual_seed(0)
    anchors = functional.normalize(torch.randn(3, 8), dim=-1)
    documents = functional.normalize(torch.randn(4, 8), dim=-1)
    excluded = torch.zeros(3, 4, dtype=torch.bool)
    excluded[0, 1] = True
    cosines = (anchors @ documents.T / 0.1).double()

    def log_share(values: Any, right: int) -> float:
        return float(values[right] - values.exp().sum().log())

    there = [
        log_share(cosines[0][[0, 2, 3]], 0),
        log_share(cosines[1], 1),
        log_share(cosines[2], 2),
    ]
    back = [
        log_share(cosines[:, 0], 0),
        log_share(cosines[[1, 2], 1], 0),
        log_share(cosines[:3, 2], 2),
    ]
    expected = -(sum(there) + sum(back)) / 6
    found = float(contrastive(anchors, documents, excluded, 0.1))
    assert found == pytest.approx(expected, rel=1e-5)


def test_cosent_asks_only_for_the_order() -> None:
    import torch

    from ml_core.tasks.pair_losses import cosent

    anchors = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    near, far = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    right = cosent(anchors, torch.stack([near, far]), torch.tensor([0.6, 0.5]), 0.05)
    wrong = cosent(anchors, torch.stack([far, near]), torch.tensor([0.6, 0.5]), 0.05)
    assert float(right) < 1e-6
    assert float(wrong) == pytest.approx(20, rel=1e-4)
    assert float(cosent(anchors, torch.stack([far, near]), torch.tensor([0.5, 0.5]), 0.05)) == 0


def test_cosine_and_triplet_losses() -> None:
    import torch

    from ml_core.tasks.pair_losses import cosine, triplet

    first = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    second = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    assert float(cosine(first, second, torch.tensor([1.0, 0.0]))) == pytest.approx(0.08)
    assert float(triplet(first, second, second.flip(0), 0.2)) == pytest.approx(0.4)


def test_rows_with_the_same_positive_are_no_negatives_of_each_other(
    options: dict[str, Any], tmp_path: Path
) -> None:
    from ml_core.tasks.reading import read_data
    from ml_core.tasks.text_embedding import TextEmbedding

    rows = [
        {"anchor": f"bank {n}", "positive": f"{word} today"}
        for n in range(30)
        for word in ("rises", "falls")
    ]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    config = TrainConfig(**options | {"train": data, "validation": data}, out=tmp_path / "model")
    found = read_data(config)
    task = TextEmbedding(config, found)
    batch = task.collate(task.features(found.train)[:4])
    assert batch["excluded"].tolist() == [
        [False, True, True, True],
        [True, False, True, True],
        [True, True, False, True],
        [True, True, True, False],
    ]


def test_batches_keep_rows_of_one_key_apart() -> None:
    from ml_core.training.sampling import DistinctBatches

    keys = [(number % 100,) for number in range(400)]
    sampler = DistinctBatches([number % 37 for number in range(400)], keys, batch_size=16, seed=1)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(row for batch in batches for row in batch) == list(range(400))
    assert all(len({keys[row] for row in batch}) == len(batch) for batch in batches)
    assert list(sampler) == batches
