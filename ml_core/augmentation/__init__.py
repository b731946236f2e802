"""More training rows out of the labelled ones, with their labels kept. Nothing here loads torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.augmentation.errors import AugmentationError
    from ml_core.augmentation.noise import add_typos
    from ml_core.augmentation.synonyms import (
        CedictSynonyms,
        EmbeddingSynonyms,
        FileSynonyms,
        JoinedSynonyms,
        Synonyms,
    )
    from ml_core.augmentation.tagged import TAGGED_METHODS, augment_tagged
    from ml_core.augmentation.texts import METHODS, augment

__all__ = [
    "METHODS",
    "TAGGED_METHODS",
    "AugmentationError",
    "CedictSynonyms",
    "EmbeddingSynonyms",
    "FileSynonyms",
    "JoinedSynonyms",
    "Synonyms",
    "add_typos",
    "augment",
    "augment_tagged",
]

_HOME = {
    "METHODS": "texts",
    "TAGGED_METHODS": "tagged",
    "AugmentationError": "errors",
    "CedictSynonyms": "synonyms",
    "EmbeddingSynonyms": "synonyms",
    "FileSynonyms": "synonyms",
    "JoinedSynonyms": "synonyms",
    "Synonyms": "synonyms",
    "add_typos": "noise",
    "augment": "texts",
    "augment_tagged": "tagged",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
