"""Several tasks on one encoder: each batch goes through it once, for every head that has something to learn of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.text import collate_texts
from ml_core.training.config import TrainConfig


class SharedEncoder(nn.Module):
    """The models of several tasks, all of them around the encoder of the first."""

    def __init__(self, models: Sequence[Any]) -> None:
        super().__init__()
        self.encoder: Any = models[0].encoder
        for model in models:
            model.encoder = self.encoder
        self.heads = nn.ModuleList(models)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The states (texts, pieces, hidden) that all heads read."""
        states: Tensor = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        return states


@dataclass(frozen=True)
class TogetherReport:
    """What an evaluation of all tasks found; the headline is the mean of theirs."""

    parts: tuple[Evaluation, ...]

    headline: ClassVar[str] = "mean"
    answers: ClassVar[None] = None

    @property
    def count(self) -> int:
        return sum(part.report.count for part in self.parts)

    def summary(self) -> dict[str, Any]:
        return {"mean": sum(map(main_figure, self.parts)) / len(self.parts)}

    def to_dict(self) -> dict[str, Any]:
        return self.summary()


class Together(Task):
    """The tasks ``members``, whose models get the first one's encoder (hard parameter sharing, Caruana 1997).

    Texts of different tasks that read alike are one text of a batch, which the encoder computes once; the others stand
    alone. The loss of a batch is the mean over its (text, task) pairs of each task's own mean loss, so that a task with
    a label a word does not drown one with a label a text.
    """

    name = "together"
    # Each member has its own; an artefact is always one of theirs.
    predictor = ""

    def __init__(
        self, config: TrainConfig, data: TaskData, members: Sequence[Task], names: Sequence[str]
    ) -> None:
        super().__init__(config, data)
        self.members = list(members)
        self._names = list(names)
        self.model = SharedEncoder([member.model for member in members])
        self._pad_id: int = self.model.encoder.config.pad_token_id

    def features(self, rows: Sequence[Any]) -> list[Feature]:
        """Those of the members' own training rows (``rows`` is them all); ``parts`` has the features of one text by
        member. The same text of one task twice is two."""
        del rows
        merged: list[Feature] = []
        by_text: dict[tuple[int, ...], Feature] = {}
        for number, member in enumerate(self.members):
            for feature in member.features(member.data.train):
                key = tuple(feature["input_ids"])
                text = by_text.get(key)
                if text is None or number in text["parts"]:
                    text = {"input_ids": feature["input_ids"], "length": len(key), "parts": {}}
                    by_text[key] = text
                    merged.append(text)
                text["parts"][number] = feature
        return merged

    def collate(self, features: list[Feature]) -> Batch:
        parts = []
        for number, member in enumerate(self.members):
            places = [at for at, feature in enumerate(features) if number in feature["parts"]]
            if places:
                own = member.collate([features[at]["parts"][number] for at in places])
                parts.append((number, torch.tensor(places), own))
        return {**collate_texts(features, self._pad_id), "parts": parts}

    def items(self, batch: Batch) -> int:
        return sum(len(places) for _, places, _ in batch["parts"])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        states = model(batch["input_ids"], batch["attention_mask"])
        total = states.new_zeros(())
        for number, places, own in batch["parts"]:
            member = self.members[number]
            known = states[places, : own["input_ids"].shape[1]]
            found = member.loss(self.model.heads[number], {**own, "states": known})
            total = total + found.total / member.items(own) * len(places)
        return Loss(total)

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        """Each member on its own validation part, after the other (``rows`` is them all)."""
        del model, rows
        parts = tuple(
            member.evaluate(head, member.data.validation, device, after_batch)
            for member, head in zip(self.members, self.model.heads, strict=True)
        )
        loss = sum(part.loss for part in parts) / len(parts)
        if any(part.report is None for part in parts):
            return Evaluation(report=None, loss=float("nan"))
        figures = {
            f"{name}/{part.report.headline}": main_figure(part)
            for name, part in zip(self._names, parts, strict=True)
        }
        return Evaluation(TogetherReport(parts), loss, figures=figures)

    def save(self, directory: Path) -> None:
        raise NotImplementedError("each member is saved as an artefact of its own")


def main_figure(evaluation: Evaluation) -> float:
    """The figure by which a task's epochs are compared."""
    report = evaluation.report
    return float(report.summary()[report.headline])
