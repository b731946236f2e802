"""Put the documents of a query in the order of how well they answer it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.rows import Row
from ml_core.evaluation.reports.pairs import PairsReport, build_pairs_report
from ml_core.evaluation.reports.ranking import RankingReport, build_scored_ranking_report
from ml_core.models.classifier import save_text_model
from ml_core.models.reranking import CrossEncoder, RerankingPredictor, collate_pairs
from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Report, Task, TaskData
from ml_core.tasks.reading_matching import read_judgement_rows
from ml_core.tasks.text import BaseText, evaluation_batches
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.sampling import LengthBuckets


class Reranking(Task):
    """A cross-encoder, trained pair by pair (binary cross-entropy) or list by list: cross-entropy between the softmax
    over a query's documents and the even distribution over its relevant ones (Cao et al. 2007, ListNet).

    A feature is a pair, or part of a query's list; see `_parts`.
    """

    name = "reranking"
    predictor: ClassVar[str] = "ml_core.models.reranking:RerankingPredictor"

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self._base = BaseText(config)
        self.model = CrossEncoder(self._base.encoder, dropout=config.dropout)
        self.rerank_loss = config.rerank_loss
        lists = [_has_both(data.train, places) for places in _by_query(data.train).values()]
        if self.rerank_loss == "auto":
            self.rerank_loss = "list" if sum(lists) * 2 > len(lists) else "pairs"
        if self.rerank_loss == "list" and not any(lists):
            raise ConfigError(
                "rerank_loss: list needs queries with both a relevant and an irrelevant document"
            )

    def features(self, rows: Sequence[Any]) -> list[Feature]:
        encoded = self._encode(rows)
        labels = [row.content["label"] for row in rows]
        if self.rerank_loss == "pairs":
            groups: list[list[int]] = [[place] for place in range(len(rows))]
        else:
            groups = [
                part
                for places in _by_query(rows).values()
                for part in _parts(
                    [place for place in places if labels[place]],
                    [place for place in places if not labels[place]],
                    self.config.documents_per_query,
                )
            ]
        return [
            {
                "pairs": [encoded[place] for place in group],
                "labels": [float(labels[place]) for place in group],
                "length": max(len(encoded[place][0]) for place in group),
            }
            for group in groups
        ]

    def sampler(self, features: Sequence[Feature], *, batch_size: int, seed: int) -> LengthBuckets:
        """A batch has about ``batch_size`` documents, whole lists in any case."""
        if self.rerank_loss == "list":
            documents = sum(len(feature["pairs"]) for feature in features) / len(features)
            batch_size = max(1, int(batch_size / documents))
        return super().sampler(features, batch_size=batch_size, seed=seed)

    def collate(self, features: list[Feature]) -> Batch:
        sizes = [len(feature["pairs"]) for feature in features]
        pairs = [pair for feature in features for pair in feature["pairs"]]
        return {
            **collate_pairs(pairs, self._base.pad_id),
            "labels": torch.tensor([label for each in features for label in each["labels"]]),
            "queries": torch.repeat_interleave(torch.tensor(sizes)),
        }

    def items(self, batch: Batch) -> int:
        return int(batch["queries"][-1]) + 1

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        scores = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]).float()
        return Loss(self._total(scores, batch["labels"], batch["queries"]))

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        encoded = self._encode(rows)
        features: list[Feature] = [
            {"pairs": [pair], "labels": [0.0], "length": len(pair[0])} for pair in encoded
        ]
        scores = np.empty(len(rows), dtype=np.float32)
        for places in evaluation_batches(features, device, after_batch):
            batch = self.collate([features[place] for place in places])
            inputs = {key: batch[key].to(device) for key in _INPUTS}
            scores[places] = model(**inputs).float().cpu().numpy()
        number = {query: place for place, query in enumerate(_by_query(rows))}
        total = self._total(
            torch.from_numpy(scores),
            torch.tensor([float(row.content["label"]) for row in rows]),
            torch.tensor([number[row.content["query"]] for row in rows]),
        )
        items = len(rows) if self.rerank_loss == "pairs" else len(number)
        return Evaluation(judgements_report(rows, scores), float(total) / items)

    def save(self, directory: Path) -> None:
        save_text_model(self.model, directory)
        self._base.save_tokenizer(directory)

    def languages(self) -> tuple[str, ...]:
        return self._base.languages

    def describe(self) -> dict[str, Any]:
        return {"rerank_loss": self.rerank_loss}

    def _encode(self, rows: Sequence[Row]) -> list[tuple[list[int], list[int]]]:
        return self._base.encode.pairs(
            [(row.content["query"], row.content["document"]) for row in rows]
        )

    def _total(self, scores: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """The summed loss of documents with ``scores``, ``labels`` and the number of their query, all (documents,)."""
        if self.rerank_loss == "pairs":
            return functional.binary_cross_entropy_with_logits(scores, labels, reduction="sum")
        # log Σ exp(score) of each query, taken at its highest score for the sake of precision.
        count = int(queries.max()) + 1
        none = scores.new_zeros(count)
        highest = scores.new_full((count,), -torch.inf)
        highest = highest.scatter_reduce(0, queries, scores.detach(), "amax")
        spread = none.scatter_add(0, queries, (scores - highest[queries]).exp())
        log_share = scores - highest[queries] - spread.log()[queries]
        relevant = none.scatter_add(0, queries, labels).clamp(min=1)
        return -(log_share * labels / relevant[queries]).sum()


_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def evaluate_artifact(
    artifact: Artifact | Path | str, data: Path | str, device: str = "auto"
) -> Report:
    """Score a saved model on a file of judged pairs: see `judgements_report`.

    Raises DataError for the data, ArtifactError for the artefact.
    """
    rows = read_judgement_rows(Path(data))
    predictor = RerankingPredictor.load(artifact, device=device)
    pairs = [(row.content["query"], row.content["document"]) for row in rows]
    return judgements_report(rows, predictor.scores(pairs))


def judgements_report(rows: Sequence[Row], scores: np.ndarray) -> PairsReport | RankingReport:
    """The ranking of each query's documents, over the queries with an irrelevant one, and as ``average_precision`` and
    ``auroc`` how well the scores part all pairs. Only these where no query has documents to choose from."""
    labels = [row.content["label"] for row in rows]
    texts = [(row.content["query"], row.content["document"]) for row in rows]
    pairs = build_pairs_report(scores, labels, texts=texts, lines=[row.line for row in rows])
    groups = _by_query(rows)
    if not any(_has_both(rows, places) for places in groups.values()):
        return pairs
    kept = [
        place
        for places in groups.values()
        if any(not labels[place] for place in places)
        for place in places
    ]
    report = build_scored_ranking_report(
        [texts[place][0] for place in kept],
        [texts[place][1] for place in kept],
        scores[kept],
        [labels[place] for place in kept],
    )
    of_pairs = {"average_precision": pairs.average_precision, "auroc": pairs.auroc}
    intervals = {key: pairs.intervals[key] for key in of_pairs}
    return replace(
        report, metrics=report.metrics | of_pairs, intervals=report.intervals | intervals
    )


def _by_query(rows: Sequence[Row]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row.content["query"]].append(place)
    return places


def _has_both(rows: Sequence[Row], places: Sequence[int]) -> bool:
    """Whether there are a relevant and an irrelevant document at ``places``."""
    return len({rows[place].content["label"] for place in places}) == 2


def _parts(relevant: list[int], irrelevant: list[int], size: int) -> Iterator[list[int]]:
    """Lists of at most ``size`` documents with both kinds in each; every document is in one or more. A query with one
    kind alone has nothing to choose from and gives none."""
    if not relevant or not irrelevant:
        return
    first = min(len(relevant), size // 2)
    second = min(len(irrelevant), size - first)
    for part in range(max(math.ceil(len(relevant) / first), math.ceil(len(irrelevant) / second))):
        yield [
            *(relevant[(part * first + step) % len(relevant)] for step in range(first)),
            *(irrelevant[(part * second + step) % len(irrelevant)] for step in range(second)),
        ]
