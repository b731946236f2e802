"""Text handling for English and Chinese: language, normal form, duplicates, personal data, words.

Nothing here loads torch. Names are resolved on first use, so ``import ml_core.text`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.text.duplicates import (
        NEAR_DUPLICATE_JACCARD,
        content_hash,
        estimated_jaccard,
        lsh_bands,
        minhash_signature,
        near_duplicate,
    )
    from ml_core.text.language import detect_language
    from ml_core.text.normal import normalise
    from ml_core.text.personal import PersonalSpan, find_personal, mask_personal
    from ml_core.text.segmentation import segment

__all__ = [
    "NEAR_DUPLICATE_JACCARD",
    "PersonalSpan",
    "content_hash",
    "detect_language",
    "estimated_jaccard",
    "find_personal",
    "lsh_bands",
    "mask_personal",
    "minhash_signature",
    "near_duplicate",
    "normalise",
    "segment",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "NEAR_DUPLICATE_JACCARD": "duplicates",
        "PersonalSpan": "personal",
        "content_hash": "duplicates",
        "detect_language": "language",
        "estimated_jaccard": "duplicates",
        "find_personal": "personal",
        "lsh_bands": "duplicates",
        "mask_personal": "personal",
        "minhash_signature": "duplicates",
        "near_duplicate": "duplicates",
        "normalise": "normal",
        "segment": "segmentation",
    },
)
