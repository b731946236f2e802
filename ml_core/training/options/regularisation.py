"""What keeps a model from learning its training rows by heart."""

from __future__ import annotations

from dataclasses import dataclass

from ml_core.training.options.base import option

_TEXT = (
    "text-classification",
    "multi-label-classification",
    "token-classification",
    "span-classification",
    "text-embedding",
    "reranking",
    "text-generation",
    "masked-language-model",
)
_CLASSES = (
    "text-classification",
    "token-classification",
    "span-classification",
    "image-classification",
)
_POOLED = ("text-classification", "multi-label-classification", "image-classification")


@dataclass(frozen=True, kw_only=True)
class RegularisationOptions:
    adversarial: str = option(
        'Learn each batch once more with its embeddings pushed where the loss grows: "fgm" by one step, "pgd" by '
        "several small ones. Costs one (FGM) or adversarial_steps (PGD) more passes.",
        default="none",
        choices=("none", "fgm", "pgd"),
        tasks=_TEXT,
    )
    adversarial_epsilon: float = option(
        "How far each text's embeddings are pushed (their L2 norm).",
        default=0.5,
        above=0,
        tasks=_TEXT,
    )
    adversarial_steps: int = option(
        "Steps of PGD, each with a pass of its own.", default=3, at_least=1, tasks=_TEXT
    )
    r_drop: float = option(
        "Weight of R-Drop: two passes with different dropout must agree. 0: off; the paper uses 1 to 5. Costs a second "
        "pass.",
        default=0.0,
        at_least=0,
        tasks=_CLASSES,
    )
    mixup: float = option(
        "Mix pairs of rows and their labels by a share from Beta(mixup, mixup): images as pixels, texts after pooling. "
        "0: off.",
        default=0.0,
        at_least=0,
        tasks=_POOLED,
    )
    weight_averaging: str = option(
        'Keep an average of the weights and judge that: "ema" (exponential), "swa" (equal, over the second half).',
        default="none",
        choices=("none", "ema", "swa"),
    )
    ensemble: int = option(
        "Trainings from the same start, with other orders and dropout; their weights are averaged as long as the "
        "validation part gains (greedy soup). The result is one model of the same size.",
        default=1,
        at_least=1,
        at_most=20,
    )
    ema_decay: float = option(
        "Part of the old average that stays at each step; fewer steps are averaged at first.",
        default=0.99,
        at_least=0,
        below=1,
    )
