"""Who a text names: the linker and what it is made of."""

from __future__ import annotations

from ml_core.linking import (
    Candidate,
    Link,
    Linker,
    Name,
    NameKind,
    NameTable,
    TaggedSpan,
    TermIndex,
    estimate_ambiguity,
    fold_name,
    shared_names,
    symbol_names,
)

__all__ = [
    "Candidate",
    "Link",
    "Linker",
    "Name",
    "NameKind",
    "NameTable",
    "TaggedSpan",
    "TermIndex",
    "estimate_ambiguity",
    "fold_name",
    "shared_names",
    "symbol_names",
]
