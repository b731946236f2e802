"""Learning new rows without losing what the previous version knew: replay, distillation, elastic weights.

Replay keeps a small share of the earlier rows, chosen by herding (Rebuffi et al. 2017, iCaRL) in the previous version's
states. Distillation keeps the previous version's answers over its own labels on whatever is learned now (Li and Hoiem
2016, LwF): T² · KL(softmax(old / T) ‖ softmax(new / T)). EWC (Kirkpatrick et al. 2017) adds
½ λ Σ F_i (θ_i − θ*_i)², F the diagonal Fisher information on the replayed rows. Forgetting on each earlier snapshot is
the previous version's main figure minus the new one's.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.examples import Example, read_examples
from ml_core.evaluation.scoring import check_labels
from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import Batch, Loss, LossFunction
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.methods.base import Method, Run
from ml_core.training.methods.head_start import pooled_states

_FISHER_ROWS = 500


class Continual(Method):
    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self._teacher: Any = None
        self._known: Tensor = torch.empty(0, dtype=torch.long)
        self._importance: dict[str, Tensor] = {}
        self._anchor: dict[str, Tensor] = {}
        self._replayed: list[Example] = []

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        needs_previous = config.distillation or config.ewc or config.earlier
        if needs_previous and config.previous is None:
            raise ConfigError(
                "previous: missing; distillation, ewc and earlier are about a version to go on from"
            )
        if config.ewc and config.replay is None:
            raise ConfigError("replay: missing; ewc measures on earlier rows which weights matter")
        return config.previous is not None or config.replay is not None

    def prepare_rows(self, run: Run) -> None:
        if self.config.replay is None:
            return
        rows = read_examples(
            self.config.replay, text=self.config.text_column, label=self.config.label_column
        )
        data = run.task.data
        check_labels(rows, data.labels, path=self.config.replay, known_to="this run")
        states = pooled_states(run, [row.text for row in rows])
        kept = herd(states, [row.label for row in rows], self.config.replay_fraction)
        self._replayed = [rows[place] for place in kept]
        new, share = len(data.train), self.config.replay_share
        wanted = math.ceil(new * share / (1 - share))
        times = max(1, round(wanted / len(self._replayed)))
        data.train = [*data.train, *self._replayed * times]
        run.notes.append(
            f"{len(self._replayed):,} of {len(rows):,} earlier rows replayed, {times} times in each epoch"
        )
        run.records["replay"] = {"rows": len(self._replayed), "of": len(rows), "times": times}

    def prepare_model(self, run: Run) -> None:
        if self.config.previous is None:
            return
        labels = Artifact.open(self.config.previous, verify=False).manifest.labels
        place = {label: index for index, label in enumerate(run.task.data.labels)}
        self._known = torch.tensor([place[label] for label in labels])
        if self.config.distillation:
            self._teacher = copy.deepcopy(run.task.model).eval().requires_grad_(False)
            self._teacher.to(run.device)
        if self.config.ewc:
            self._measure_importance(run)

    def wrap_loss(self, loss: LossFunction) -> LossFunction:
        def remembering(model: nn.Module, batch: Batch) -> Loss:
            found = loss(model, batch)
            total = found.total
            if self._teacher is not None and found.logits is not None:
                total = total + self.config.distillation * self._distance(found.logits, batch)
            if self._anchor:
                total = total + len(batch["labels"]) * self.config.ewc / 2 * self._pull(model)
            return Loss(total, found.logits)

        return remembering

    def finish(self, run: Run) -> bool:
        if not self.config.earlier or self.config.previous is None:
            return False
        from ml_core.evaluation import evaluate

        forgetting = {}
        for name in self.config.earlier:
            path = Path(name)
            rows = read_examples(path, text=self.config.text_column, label=self.config.label_column)
            check_labels(rows, run.task.data.labels, path=path, known_to="this run")
            before = evaluate(self.config.previous, path, device=str(run.device)).summary()
            with torch.no_grad():
                report = run.task.evaluate(
                    run.task.model, rows, run.device, run.reporter.check_stop
                ).report
            after = report.summary()[report.headline]
            forgetting[path.name] = {
                "figure": report.headline,
                "before": before[report.headline],
                "after": after,
                "forgetting": before[report.headline] - after,
            }
        run.records["forgetting"] = forgetting
        return False

    def _distance(self, logits: Tensor, batch: Batch) -> Tensor:
        """T² · KL to the previous version's answers over its labels, summed over the rows."""
        with torch.no_grad():
            answers = self._teacher(batch["input_ids"], batch["attention_mask"])
        temperature, known = self.config.distillation_temperature, self._known.to(logits.device)
        return temperature**2 * functional.kl_div(
            (logits[:, known] / temperature).log_softmax(-1),
            (answers[:, known] / temperature).log_softmax(-1),
            reduction="sum",
            log_target=True,
        )

    def _pull(self, model: nn.Module) -> Tensor:
        inner = getattr(model, "module", model)
        return torch.stack(
            [
                (self._importance[name] * (weight - self._anchor[name]) ** 2).sum()
                for name, weight in inner.named_parameters()
                if name in self._anchor
            ]
        ).sum()

    def _measure_importance(self, run: Run) -> None:
        """The diagonal Fisher information of the model's own answers' log-likelihood, scaled to mean 1."""
        task, model = run.task, run.task.model.to(run.device).eval()
        weights = {name: each for name, each in model.named_parameters() if each.requires_grad}
        total = {name: torch.zeros_like(each) for name, each in weights.items()}
        for feature in task.features(self._replayed[:_FISHER_ROWS]):
            run.reporter.check_stop()
            batch = {key: value.to(run.device) for key, value in task.collate([feature]).items()}
            model.zero_grad(set_to_none=True)
            task.loss(model, batch).total.backward()  # type: ignore[no-untyped-call]
            for name, each in weights.items():
                if each.grad is not None:
                    total[name] += each.grad**2
        model.zero_grad(set_to_none=True)
        count = sum(each.numel() for each in total.values())
        mean = sum(float(each.sum()) for each in total.values()) / count
        self._importance = {name: each / max(mean, 1e-30) for name, each in total.items()}
        self._anchor = {name: each.detach().clone() for name, each in weights.items()}


def herd(states: np.ndarray, labels: list[str], fraction: float) -> list[int]:
    """Places of ``fraction`` of each label's rows (at least one), chosen one by one so that the mean of the chosen
    states stays nearest to the label's mean (Welling 2009). ``states`` (rows, hidden)."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        places[label].append(place)
    chosen = []
    for label in sorted(places):
        own = np.array(places[label])
        unit = states[own] / np.linalg.norm(states[own], axis=1, keepdims=True)
        mean, total = unit.mean(0), np.zeros(states.shape[1])
        left = np.ones(len(own), dtype=bool)
        for count in range(1, max(1, round(len(own) * fraction)) + 1):
            distance = np.linalg.norm(mean - (total + unit) / count, axis=1)
            best = int(np.where(left, distance, np.inf).argmin())
            left[best] = False
            total += unit[best]
            chosen.append(int(own[best]))
    return sorted(chosen)
