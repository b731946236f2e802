"""What only taggers have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    gazetteer: Path | None = option(
        "Known names (.csv with surface and type, or .yaml): a learned vector tells the model which words they are. "
        "The list becomes part of the artefact.",
        default=None,
        tasks=("token-classification",),
    )
