"""Make a trained model smaller and faster: pruning, distillation, smaller vocabularies, int8, and chains of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.compression.chain import Compressed, StepResult, TooMuchLost, compress
    from ml_core.compression.options import CompressionConfig, parse_steps
    from ml_core.compression.search import search_compression

__all__ = [
    "Compressed",
    "CompressionConfig",
    "StepResult",
    "TooMuchLost",
    "compress",
    "parse_steps",
    "search_compression",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Compressed": "chain",
        "CompressionConfig": "options",
        "StepResult": "chain",
        "TooMuchLost": "chain",
        "compress": "chain",
        "parse_steps": "options",
        "search_compression": "search",
    },
)
