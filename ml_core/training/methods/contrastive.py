"""Contrastive passes before the fine-tuning: supervised contrastive learning (Khosla et al. 2020) on pooled states.

For each text i with partners P(i) of its label in the batch:
loss_i = − mean over p in P(i) of log( exp(cos(i, p) / τ) / Σ_{a ≠ i} exp(cos(i, a) / τ) ).
A batch takes labels by turns and two texts of each, so that every text has a partner. What SetFit (Tunstall et al.
2022) reaches with pairs, this reaches with all pairs of a batch at once.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ml_core.training.config import TrainConfig
from ml_core.training.methods.base import Method, Run
from ml_core.training.optimiser import build_optimiser

_TEXTS_OF_LABEL = 2


class ContrastiveFirst(Method):
    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.contrastive_epochs > 0

    def prepare_model(self, run: Run) -> None:
        run.notes.append(
            f"{self.config.contrastive_epochs} contrastive passes before the fine-tuning"
        )
        if run.resuming:
            return
        task: Any = run.task
        model = task.model.to(run.device).train()
        features = task.features(task.data.train)
        batch_size = max(4, self.config.batch_size)
        generator = random.Random(f"contrastive:{self.config.seed}")
        rate = (
            self.config.contrastive_learning_rate
            or self.config.learning_rate
            or task.default_learning_rate()
        )
        optimiser = build_optimiser(model, task.encoder(), self.config, rate)
        steps = self.config.contrastive_epochs * -(-len(features) // batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, [group["lr"] for group in optimiser.param_groups], steps + 1, pct_start=0.1
        )
        labels = [feature["label"] for feature in features]
        step = 0
        for _ in range(self.config.contrastive_epochs):
            for places in label_pairs(labels, batch_size, generator):
                run.reporter.check_stop()
                batch = task.collate([features[place] for place in places])
                states = model.dropout(
                    model.pool(
                        batch["input_ids"].to(run.device), batch["attention_mask"].to(run.device)
                    )
                )
                loss = supervised_contrastive_loss(
                    states, batch["labels"].to(run.device), self.config.contrastive_temperature
                )
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad(set_to_none=True)
                step = min(step + 1, steps)
                run.reporter.report(
                    "pretrain",
                    step=step,
                    total_steps=steps,
                    epoch=round(step * self.config.contrastive_epochs / steps, 3),
                    loss=round(float(loss.detach()), 5),
                )


def supervised_contrastive_loss(states: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The mean of loss_i (see the module) over the texts that have a partner. ``states`` (texts, hidden), ``labels``
    (texts); 0 when no text has one."""
    states = functional.normalize(states, dim=-1)
    alone = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similar = (states @ states.T / temperature).masked_fill(alone, float("-inf"))
    log_share = similar.log_softmax(-1)
    partners = (labels.unsqueeze(0) == labels.unsqueeze(1)) & ~alone
    count = partners.sum(1)
    each = -log_share.masked_fill(~partners, 0.0).sum(1) / count.clamp_min(1)
    return each[count > 0].sum() / (count > 0).sum().clamp_min(1)


def label_pairs(labels: list[int], batch_size: int, generator: random.Random) -> list[list[int]]:
    """One epoch of batches as places in ``labels``: every place once, two of a label side by side, labels in random
    order. A place left over after pairing stands alone in a batch of others."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        places[label].append(place)
    groups = []
    for own in places.values():
        generator.shuffle(own)
        groups += [own[i : i + _TEXTS_OF_LABEL] for i in range(0, len(own), _TEXTS_OF_LABEL)]
    generator.shuffle(groups)
    order = [place for group in groups for place in group]
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
