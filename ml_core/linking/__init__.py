"""Who a text names: tables of names with dates and ambiguity, linking by context, labels by words.

Nothing here loads torch. Names are resolved on first use, so ``import ml_core.linking`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.linking.folding import fold_name
    from ml_core.linking.labels import TermIndex
    from ml_core.linking.linker import Candidate, Link, Linker, TaggedSpan
    from ml_core.linking.names import (
        NAME_KINDS,
        Name,
        NameKind,
        estimate_ambiguity,
        shared_names,
        symbol_names,
    )
    from ml_core.linking.table import NameTable

__all__ = [
    "NAME_KINDS",
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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "NAME_KINDS": "names",
        "Candidate": "linker",
        "Link": "linker",
        "Linker": "linker",
        "Name": "names",
        "NameKind": "names",
        "NameTable": "table",
        "TaggedSpan": "linker",
        "TermIndex": "labels",
        "estimate_ambiguity": "names",
        "fold_name": "folding",
        "shared_names": "names",
        "symbol_names": "names",
    },
)
