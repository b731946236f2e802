"""Texts as vectors that are near each other where the texts belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.rows import Row
from ml_core.evaluation.reports.pairs import build_pairs_report
from ml_core.evaluation.slices import length_column
from ml_core.models.classifier import save_text_model
from ml_core.models.embedding import EmbeddingPredictor, TextEmbedder, embed_token_ids
from ml_core.registry.artifact import Artifact
from ml_core.tasks import pair_losses
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Report, Task, TaskData
from ml_core.tasks.reading_matching import read_pair_rows
from ml_core.tasks.retrieval import retrieval_report, similarity_blocks
from ml_core.tasks.text import BaseText, collate_texts
from ml_core.training.config import TrainConfig
from ml_core.training.sampling import DistinctBatches, LengthBuckets

Embed = Callable[[Sequence[str]], np.ndarray]


class TextEmbedding(Task):
    """A siamese encoder with mean pooling (Reimers and Gurevych 2019, Sentence-BERT); see `pair_losses`.

    A row's negative stands against every anchor of its batch. In-batch negatives are those of one batch of one device:
    gradient accumulation does not add any.
    """

    name = "text-embedding"
    predictor: ClassVar[str] = "ml_core.models.embedding:EmbeddingPredictor"

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self._base = BaseText(config)
        self.model = TextEmbedder(self._base.encoder)
        self.pair_loss = config.pair_loss
        if self.pair_loss == "auto":
            scored = "score" in data.train[0].content
            self.pair_loss = "cosent" if scored else "contrastive"
        hidden = int(self._base.encoder.config.hidden_size)
        self._tokens = 0
        self._sizes = [hidden // part for part in ((1, 2, 4, 8) if config.matryoshka else (1,))]

    def features(self, rows: Sequence[Any]) -> list[Feature]:
        keys: dict[str, int] = {}
        positives: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            key = keys.setdefault(row.content["positive"], len(keys))
            positives[row.content["anchor"]].add(key)
        columns = {
            name: self._base.encode([row.content.get(name, "") for row in rows])
            for name in ("anchor", "positive", "negative")
        }
        features = []
        for place, row in enumerate(rows):
            content = row.content
            names = [name for name in columns if name in content]
            feature: Feature = {name: columns[name][place] for name in names}
            feature["length"] = sum(len(feature[name]) for name in names)
            feature["positives"] = positives[content["anchor"]]
            feature["positive_key"] = keys[content["positive"]]
            if "negative" in content:
                feature["negative_key"] = keys.setdefault(content["negative"], len(keys))
            feature["score"] = content.get("score", 1.0)
            features.append(feature)
        return features

    def sampler(self, features: Sequence[Feature], *, batch_size: int, seed: int) -> LengthBuckets:
        """For the contrastive loss rows that share a positive are kept out of each other's batches."""
        self._tokens = sum(feature["length"] for feature in features)
        if self.pair_loss != "contrastive":
            return super().sampler(features, batch_size=batch_size, seed=seed)
        return DistinctBatches(
            [feature["length"] for feature in features],
            [feature["positives"] for feature in features],
            batch_size=batch_size,
            seed=seed,
        )

    def collate(self, features: list[Feature]) -> Batch:
        groups = [[{"input_ids": each[name]} for each in features] for name in _PAIR]
        hard = [each for each in features if "negative" in each]
        if hard and self.pair_loss in ("contrastive", "triplet"):
            groups.append([{"input_ids": each["negative"]} for each in hard])
        documents = [each["positive_key"] for each in features]
        documents += [each["negative_key"] for each in hard]
        excluded = [
            [
                document in each["positives"] and place != row
                for place, document in enumerate(documents)
            ]
            for row, each in enumerate(features)
        ]
        return {
            "texts": [collate_texts(group, self._base.pad_id) for group in groups],
            "excluded": torch.tensor(excluded),
            "scores": torch.tensor([each["score"] for each in features]),
        }

    def items(self, batch: Batch) -> int:
        return len(batch["scores"])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        vectors = [group.float() for group in model(batch["texts"])]
        # Cosines of bfloat16 are too coarse for a temperature of 0.05.
        with torch.autocast(vectors[0].device.type, enabled=False):
            parts = [self._mean_loss(_cut(vectors, size), batch) for size in self._sizes]
        return Loss(torch.stack(parts).mean() * self.items(batch))

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        embedder: Any = model

        def embed(texts: Sequence[str]) -> np.ndarray:
            return embed_token_ids(
                embedder,
                self._base.encode(texts),
                pad_id=self._base.pad_id,
                device=device,
                after_batch=after_batch,
            )

        return pairs_evaluation(rows, embed, self.config.pair_temperature)

    def save(self, directory: Path) -> None:
        save_text_model(self.model, directory)
        self._base.save_tokenizer(directory)

    def default_learning_rate(self) -> float:
        """Half that of a classifier: a base that is made for embeddings has more to lose."""
        return super().default_learning_rate() / 2

    def languages(self) -> tuple[str, ...]:
        return self._base.languages

    def describe(self) -> dict[str, Any]:
        return {
            "pooling": "mean",
            "normalised": True,
            "embedding_size": self._sizes[0],
            "embedding_sizes": self._sizes,
            "tokens_per_epoch": self._tokens,
        }

    def _mean_loss(self, vectors: list[Tensor], batch: Batch) -> Tensor:
        config, (anchors, positives) = self.config, vectors[:2]
        match self.pair_loss:
            case "contrastive":
                documents = torch.cat(vectors[1:])
                temperature = config.pair_temperature
                return pair_losses.contrastive(anchors, documents, batch["excluded"], temperature)
            case "triplet":
                return pair_losses.triplet(anchors, positives, vectors[2], config.triplet_margin)
            case "cosent":
                scores = batch["scores"]
                return pair_losses.cosent(anchors, positives, scores, config.pair_temperature)
            case _:
                return pair_losses.cosine(anchors, positives, batch["scores"])


_PAIR = ("anchor", "positive")


def evaluate_artifact(
    artifact: Artifact | Path | str, data: Path | str, device: str = "auto"
) -> Report:
    """Score a saved model on a file of pairs: see `pairs_evaluation`.

    Raises DataError for the data, ArtifactError for the artefact.
    """
    rows = read_pair_rows(Path(data))
    embed = EmbeddingPredictor.load(artifact, device=device).embed
    report: Report = pairs_evaluation(rows, embed, temperature=1.0).report
    return report


def pairs_evaluation(rows: Sequence[Row], embed: Embed, temperature: float) -> Evaluation:
    """Of scored pairs: how well the cosines follow the scores. Of others: for each anchor, where its positives stand
    among the positives of all rows, by cosine; the loss is the mean -log softmax of the first right one."""
    if "score" in rows[0].content:
        return _scored_evaluation(rows, embed)
    documents = list(dict.fromkeys(row.content["positive"] for row in rows))
    place = {text: index for index, text in enumerate(documents)}
    right: dict[str, list[int]] = defaultdict(list)
    lines: dict[str, int] = {}
    for row in rows:
        anchor = row.content["anchor"]
        lines.setdefault(anchor, row.line)
        if place[row.content["positive"]] not in right[anchor]:
            right[anchor].append(place[row.content["positive"]])
    anchors, relevant = list(right), list(right.values())
    queries, corpus = embed(anchors), embed(documents)
    losses: list[Tensor] = []
    for start, cosines in similarity_blocks(queries, corpus):
        first = torch.tensor([places[0] for places in relevant[start : start + len(cosines)]])
        logits = torch.from_numpy(cosines) / temperature
        losses.append(functional.cross_entropy(logits, first, reduction="none"))
    report = retrieval_report(
        lambda: similarity_blocks(queries, corpus),
        relevant,
        names=documents,
        queries=anchors,
        lines=[lines[anchor] for anchor in anchors],
    )
    return Evaluation(report, float(torch.cat(losses).mean()))


def _scored_evaluation(rows: Sequence[Row], embed: Embed) -> Evaluation:
    texts = [(row.content["anchor"], row.content["positive"]) for row in rows]
    anchors, positives = (embed([pair[side] for pair in texts]) for side in (0, 1))
    cosines = (anchors * positives).sum(1)
    scores = np.array([row.content["score"] for row in rows])
    report = build_pairs_report(
        cosines,
        scores,
        texts=texts,
        lines=[row.line for row in rows],
        columns={"length": length_column([f"{first} {second}" for first, second in texts])},
    )
    return Evaluation(report, float(np.square(cosines - scores).mean()))


def _cut(vectors: Sequence[Tensor], size: int) -> list[Tensor]:
    return [functional.normalize(each[:, :size], dim=-1) for each in vectors]
