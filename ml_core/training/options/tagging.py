"""What only taggers have."""

from __future__ import annotations

from dataclasses import dataclass

from ml_core.training.options.base import option


@dataclass(frozen=True, kw_only=True)
class TaggingOptions:
    case_features: str = option(
        'Tell the model how each word is written (Name, NAME, iName, name): "on", "off", or "auto": when the base\'s '
        "tokenizer lowers case, as the packaged one does.",
        default="auto",
        choices=("auto", "on", "off"),
        tasks=("token-classification",),
    )
