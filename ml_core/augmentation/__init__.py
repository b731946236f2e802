"""More training rows out of the labelled ones, with their labels kept. Nothing here loads torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
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
    },
)
