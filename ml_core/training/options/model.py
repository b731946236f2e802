"""What the model is before it learns."""

from __future__ import annotations

from dataclasses import dataclass

from ml_core.training.options.base import option

TASKS = (
    "text-classification",
    "multi-label-classification",
    "token-classification",
    "span-classification",
    "text-embedding",
    "reranking",
    "text-generation",
    "image-classification",
    "next-item",
    "masked-language-model",
)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    task: str = option("What to learn.", default="text-classification", choices=TASKS)
    base: str = option(
        'Model to start from: "packaged" (all-MiniLM-L6-v2, English), "rootstock-mini" (English and Chinese), a '
        'directory, or a hub name; "auto": rootstock-mini when a twentieth of the training texts is Chinese, else '
        "packaged.",
        default="auto",
    )
    weights: str = option(
        '"pretrained", or "random": the architecture and tokenizer of the base with fresh weights, to see what '
        "pretraining is worth.",
        default="pretrained",
        choices=("pretrained", "random"),
    )
    calibration: str = option(
        '"fitted": a temperature (for several labels, a threshold for each) is fitted on the validation part, so that '
        "probabilities mean what they say; or none.",
        default="fitted",
        choices=("fitted", "none"),
        tasks=(
            "text-classification",
            "multi-label-classification",
            "span-classification",
            "image-classification",
        ),
    )
    dropout: float = option("Dropout before the last layer.", default=0.1, at_least=0, below=1)
