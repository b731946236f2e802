"""How the weights move."""

from __future__ import annotations

from dataclasses import dataclass

from ml_core.training.options.base import option


@dataclass(frozen=True, kw_only=True)
class OptimisationOptions:
    epochs: int = option(
        "Passes over the training data, at most; 0: the model is only started, judged and saved.",
        default=4,
        at_least=0,
    )
    batch_size: int = option("Rows of one forward and backward pass.", default=32, at_least=1)
    gradient_accumulation: int = option(
        "Batches per optimiser step: the effective batch is batch_size times this, at the memory of one batch.",
        default=1,
        at_least=1,
    )
    optimiser: str = option(
        '"adamw", or "sgd" with Nesterov momentum 0.9, which suits convolutional networks.',
        default="adamw",
        choices=("adamw", "sgd"),
    )
    learning_rate: float | None = option(
        "Peak learning rate; unset: a tested default by task, method and size (for a classifier "
        "2e-4 · (384 / hidden size)², within 1e-5 and 5e-4).",
        default=None,
        above=0,
        below=1,
    )
    head_learning_rate: float | None = option(
        "Peak learning rate of the new layers on top of the base; unset: the same as learning_rate.",
        default=None,
        above=0,
        below=1,
    )
    layer_decay: float = option(
        "Learning rate of each layer relative to the one above it; 1: the same for all. 0.9 keeps lower layers nearer "
        "to what pretraining taught them.",
        default=1.0,
        above=0,
        at_most=1,
    )
    weight_decay: float = option("Weight decay; not on biases and norms.", default=0.01, at_least=0)
    schedule: str = option(
        "How the learning rate falls after the warm-up.",
        default="linear",
        choices=("linear", "cosine", "constant", "polynomial", "inverse_sqrt"),
    )
    warmup_ratio: float = option(
        "Part of all steps over which the learning rate rises.", default=0.1, at_least=0, below=1
    )
    clip_norm: float = option(
        "Gradients are scaled down to this norm; 0: never.", default=1.0, at_least=0
    )
    label_smoothing: float = option(
        "Part of the truth that is spread over all labels.",
        default=0.0,
        at_least=0,
        below=1,
        tasks=(
            "text-classification",
            "token-classification",
            "span-classification",
            "image-classification",
        ),
    )
    keep: str = option(
        'Which weights the artefact gets: those of the "best" epoch on the validation part, or the "last" ones, for '
        "settings that were tested before and a validation part that is small.",
        default="best",
        choices=("best", "last"),
    )
    early_stopping_patience: int = option(
        "Stop after this many epochs without a better main figure (or a lower loss at the same one) on the validation "
        "part; 0: never.",
        default=2,
        at_least=0,
    )
