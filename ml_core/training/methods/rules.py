"""What people know, as rules: they label more texts, and guide the finished model; see `ml_core.knowledge`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from ml_core.data.examples import Example
from ml_core.knowledge import LabelModel, RuleGuide, read_knowledge
from ml_core.registry.artifact import RULES
from ml_core.tasks.reading_texts import unlabelled_texts
from ml_core.training.config import TrainConfig
from ml_core.training.methods.base import Method, Run


class RuleGuided(Method):
    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.rules is not None

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self._rules: Any = ()

    def prepare_rows(self, run: Run) -> None:
        data = run.task.data
        if self.config.rules is None:
            return
        self._rules = read_knowledge(self.config.rules, labels=data.labels).rules
        if self.config.unlabelled is None or self.config.pseudo_labels:
            return
        known = {row.text for row in data.train}
        found = unlabelled_texts(self.config.unlabelled, self.config.text_column)
        texts = [text for text in found if text not in known]
        place = {label: index for index, label in enumerate(data.labels)}
        truth = np.array([place[row.label] for row in data.train])
        voted = LabelModel(self._rules, data.labels, [row.text for row in data.train], truth).label(
            texts
        )
        taken = [
            Example(texts[row], data.labels[label])
            for row, label in zip(voted.rows.tolist(), voted.labels.tolist(), strict=True)
        ]
        data.train = [*data.train, *taken]
        run.notes.append(f"{len(taken):,} of {len(texts):,} unlabelled texts labelled by rules")
        run.records["weak_labels"] = {"texts": len(texts), "taken": len(taken)}

    def finish(self, run: Run) -> bool:
        data, task = run.task.data, run.task
        texts = [row.text for row in data.validation]
        place = {label: index for index, label in enumerate(data.labels)}
        truth = np.array([place[row.label] for row in data.validation])
        with torch.no_grad():
            logits: np.ndarray = task.logits(  # type: ignore[attr-defined]  # text classification has it
                task.model, texts, run.device, run.reporter.check_stop
            )
        guide = RuleGuide(self._rules, data.labels).fit(texts, truth, logits)
        run.files[RULES] = json.dumps(guide.to_dict(), ensure_ascii=False, indent=1)
        reports = guide.report(texts, truth, logits)
        run.records["rules"] = [
            {
                "name": each.name,
                "label": each.label,
                "weight": each.weight,
                "fired": each.fired,
                "accuracy": each.accuracy,
                "changed": each.changed,
                "mended": each.mended,
                "broken": each.broken,
            }
            for each in reports
        ]
        return False
