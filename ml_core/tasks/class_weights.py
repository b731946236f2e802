"""Cross-entropy in which rare labels may count as much as frequent ones; the same for texts, words and images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from ml_core.training.config import TrainConfig


def class_weights(config: TrainConfig, targets: Iterable[int], label_count: int) -> Tensor | None:
    """Weights of the labels (labels,): n / (labels · count of the label), whose mean over the ``targets`` (numbers of
    labels, one an item) is 1. None when ``config.class_weighting`` is "none"."""
    if config.class_weighting == "none":
        return None
    numbers = torch.tensor(list(targets))
    counts = torch.bincount(numbers, minlength=label_count).clamp_min(1).float()
    return len(numbers) / (label_count * counts)


def weighted_cross_entropy(
    config: TrainConfig, logits: Tensor, labels: Tensor, weights: Tensor | None
) -> Tensor:
    """The loss of each item (items,), with ``config.label_smoothing``: ``logits`` (items, labels), the numbers of
    the right ``labels`` (items,); ``weights`` are those of `class_weights`, on any device."""
    return functional.cross_entropy(
        logits,
        labels,
        weight=weights.to(logits.device) if weights is not None else None,
        reduction="none",
        label_smoothing=config.label_smoothing,
    )
