"""Finding and quoting: words, passages, BM25, fusion with vectors, extractive answers.

Nothing here loads torch. Names are resolved on first use, so ``import ml_core.retrieval`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.retrieval.analysis import content_terms, is_function_word, terms
    from ml_core.retrieval.bm25 import Bm25
    from ml_core.retrieval.boundaries import sentences
    from ml_core.retrieval.characters import fold_traditional
    from ml_core.retrieval.chunks import MAX_TERMS, Block, Chunk, size, split
    from ml_core.retrieval.composing import (
        Composed,
        Passage,
        Sentence,
        compose,
        sentences_of,
        support,
    )
    from ml_core.retrieval.fusion import (
        WEIGHT,
        Judged,
        fuse,
        paired_bootstrap,
        quality,
        ranking_scores,
        tune_weight,
    )

__all__ = [
    "MAX_TERMS",
    "WEIGHT",
    "Block",
    "Bm25",
    "Chunk",
    "Composed",
    "Judged",
    "Passage",
    "Sentence",
    "compose",
    "content_terms",
    "fold_traditional",
    "fuse",
    "is_function_word",
    "paired_bootstrap",
    "quality",
    "ranking_scores",
    "sentences",
    "sentences_of",
    "size",
    "split",
    "support",
    "terms",
    "tune_weight",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "MAX_TERMS": "chunks",
        "WEIGHT": "fusion",
        "Block": "chunks",
        "Bm25": "bm25",
        "Chunk": "chunks",
        "Composed": "composing",
        "Judged": "fusion",
        "Passage": "composing",
        "Sentence": "composing",
        "compose": "composing",
        "content_terms": "analysis",
        "fold_traditional": "characters",
        "fuse": "fusion",
        "is_function_word": "analysis",
        "paired_bootstrap": "fusion",
        "quality": "fusion",
        "ranking_scores": "fusion",
        "sentences": "boundaries",
        "sentences_of": "composing",
        "size": "chunks",
        "split": "chunks",
        "support": "composing",
        "terms": "analysis",
        "tune_weight": "fusion",
    },
)
