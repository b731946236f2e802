"""Cutting what was read of a document into passages that are found and cited by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ml_core.retrieval import Block, Chunk, split

__all__ = ["Chunk", "passages_of"]


def passages_of(blocks: Iterable[Any]) -> list[Chunk]:
    """Passages in reading order of blocks that have `kind`, `text`, `level` and `page`."""
    return split([Block(each.kind, each.text, each.level, each.page) for each in blocks])
