"""Tell from what somebody did what comes next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.rows import Row
from ml_core.evaluation.reports.ranking import RankingReport, build_ranking_report
from ml_core.models.classifier import save_text_model, select_device
from ml_core.models.embedding import TextEmbedder, embed_token_ids
from ml_core.models.next_item import TEMPERATURE, NextItemModel, SequenceShape
from ml_core.models.next_item_predictor import NextItemPredictor, write_items
from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Report, Task, TaskData
from ml_core.tasks.reading_matching import read_sequence_rows
from ml_core.tasks.retrieval import best_places
from ml_core.tasks.text import BaseText, padded
from ml_core.training.config import ConfigError, TrainConfig

# Below so many items the next one is told from all the others, from here on from some drawn at random.
SAMPLED_FROM = 50_000
_ROWS_AT_ONCE = 128
_HISTORIES = (("1-2", 2), ("3-5", 5), ("6-10", 10), ("11-20", 20), ("21-50", 50))


class NextItem(Task):
    """`NextItemModel` over the frozen base's embeddings of the items' texts.

    Every item of a sequence is told from those before it; the loss is -log softmax over all items, or, of 50,000 or
    more, over the right one and ``sampled_items`` drawn evenly (Jean et al. 2015).
    """

    name = "next-item"
    predictor: ClassVar[str] = "ml_core.models.next_item_predictor:NextItemPredictor"

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        if config.sequence_width % config.sequence_heads:
            raise ConfigError(
                f"sequence_heads: {config.sequence_heads} does not divide sequence_width, {config.sequence_width}"
            )
        if config.method != "full":
            raise ConfigError(
                f"method: {config.method} changes the base, which next-item leaves as it is; use full"
            )
        self._base = BaseText(config)
        self._texts: dict[str, str] = data.extra["items"]
        self._place = {name: place for place, name in enumerate(self._texts)}
        self._shape = SequenceShape(
            items=len(self._texts),
            text_size=int(self._base.encoder.config.hidden_size),
            item_ids=config.item_ids,
            item_adaptor=config.item_adaptor,
            sequence_length=config.sequence_length,
            sequence_width=config.sequence_width,
            sequence_layers=config.sequence_layers,
            sequence_heads=config.sequence_heads,
        )
        self.model = NextItemModel(self._base.encoder, self._shape, dropout=config.dropout)
        self.model.take_texts(self._embed_items(select_device(config.device)))

    def features(self, rows: Sequence[Any]) -> list[Feature]:
        """A sequence too long to be read at once becomes several, each beginning where the one before ended."""
        most = self.config.sequence_length
        features = []
        for row in rows:
            places = [self._place[item] for item in row.content["items"]]
            for start in range(0, len(places) - 1, most):
                part = places[start : start + most + 1]
                features.append({"places": part, "length": len(part)})
        return features

    def collate(self, features: list[Feature]) -> Batch:
        inputs = [feature["places"][:-1] for feature in features]
        longest = max(len(places) for places in inputs)
        return {
            "sequences": padded(inputs, 0),
            "places": torch.tensor(
                [
                    row * longest + place
                    for row, places in enumerate(inputs)
                    for place in range(len(places))
                ]
            ),
            "targets": torch.tensor([item for each in features for item in each["places"][1:]]),
        }

    def items(self, batch: Batch) -> int:
        return len(batch["targets"])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        targets = batch["targets"]
        drawn = None
        if self._shape.items >= SAMPLED_FROM:
            # Drawn on the CPU, whose generator every checkpoint keeps.
            drawn = torch.randint(self._shape.items, (self.config.sampled_items,))
            drawn = torch.cat([targets, drawn.to(targets.device)])
        states, vectors = model(batch["sequences"], batch["places"], drawn)
        with torch.autocast(states.device.type, enabled=False):
            logits = states.float() @ vectors.float().T / TEMPERATURE
            if drawn is None:
                return Loss(functional.cross_entropy(logits, targets, reduction="sum"))
            own = torch.arange(len(targets), device=targets.device)
            again = drawn[None, :] == targets[:, None]
            again[own, own] = False
            logits = logits.masked_fill(again, -torch.inf)
            return Loss(functional.cross_entropy(logits, own, reduction="sum"))

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        scorer: Any = model
        table = scorer.item_table()
        losses: list[Tensor] = []

        def score(histories: Sequence[Sequence[str]], targets: Sequence[str]) -> np.ndarray:
            after_batch()
            places = [[self._place[item] for item in history] for history in histories]
            found = scorer.last_scores(places, table).float().cpu()
            right = torch.tensor([self._place[item] for item in targets])
            losses.append(functional.cross_entropy(found, right, reduction="none"))
            scores: np.ndarray = found.numpy()
            return scores

        report = sequences_report(rows, list(self._texts), score)
        return Evaluation(report, float(torch.cat(losses).mean()))

    def save(self, directory: Path) -> None:
        save_text_model(self.model, directory)
        self._base.save_tokenizer(directory)
        write_items(self._texts, directory)

    def default_learning_rate(self) -> float:
        """1e-3: everything that learns is new."""
        return 1e-3

    def languages(self) -> tuple[str, ...]:
        return self._base.languages

    def describe(self) -> dict[str, Any]:
        return self._shape.to_dict() | {"items_sha256": self.data.extra["items_sha256"]}

    def _embed_items(self, device: torch.device) -> Tensor:
        """Embeddings (items, hidden) of the items' texts, on the CPU."""
        embedder = TextEmbedder(self._base.encoder).to(device).eval()
        ids = self._base.encode(list(self._texts.values()))
        vectors = embed_token_ids(embedder, ids, pad_id=self._base.pad_id, device=device)
        embedder.to("cpu")
        return torch.from_numpy(vectors)


def evaluate_artifact(
    artifact: Artifact | Path | str, data: Path | str, device: str = "auto"
) -> Report:
    """Score a saved model on a file of sequences: see `sequences_report`.

    Raises DataError for the data, an item that the model does not know included; ArtifactError for the artefact.
    """
    predictor = NextItemPredictor.load(artifact, device=device)
    rows = read_sequence_rows(Path(data), set(predictor.items), shortest=2)
    return sequences_report(rows, predictor.items, lambda past, _: predictor.scores(past))


def sequences_report(
    rows: Sequence[Row],
    items: Sequence[str],
    score: Callable[[Sequence[Sequence[str]], Sequence[str]], np.ndarray],
) -> RankingReport:
    """Leave-one-out: where the last item of each row stands among all ``items``, by the scores (rows, items) that
    ``score`` gives for (the items before it, the last items). What a row had before is not recommended again, so a
    last item that is a repetition counts as not found; so does one below the first hundred. Among equal scores the
    right item comes last."""
    place = {name: number for number, name in enumerate(items)}
    sequences = [row.content["items"] for row in rows]
    ranked: list[list[str]] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = sequences[start : start + _ROWS_AT_ONCE]
        scores = score([each[:-1] for each in part], [each[-1] for each in part])
        for number, each in enumerate(part):
            scores[number, [place[item] for item in each[:-1]]] = -np.inf
        ranked += [
            [items[found] for found in places]
            for places in best_places(scores, [[place[each[-1]]] for each in part])
        ]
    fresh = [
        [item for item in names if item not in set(each[:-1])]
        for names, each in zip(ranked, sequences, strict=True)
    ]
    report = build_ranking_report(
        fresh,
        [[each[-1]] for each in sequences],
        queries=[" → ".join(each[-6:-1]) for each in sequences],
        lines=[row.line for row in rows],
        columns={"history": [_history(len(each) - 1) for each in sequences]},
    )
    return replace(report, candidates=float(len(items)))


def _history(length: int) -> str:
    """The bucket of so many items before the last."""
    return next((name for name, most in _HISTORIES if length <= most), "51+")
