"""Answers made of sources: choosing sentences, checking what a generator wrote, tuning what finds the sources."""

from __future__ import annotations

from ml_core.retrieval import (
    Composed,
    Passage,
    Sentence,
    compose,
    content_terms,
    sentences,
    support,
    terms,
)

__all__ = [
    "Composed",
    "Passage",
    "Sentence",
    "compose",
    "content_terms",
    "sentences",
    "support",
    "terms",
]
