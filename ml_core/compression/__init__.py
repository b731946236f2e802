"""Make a trained model smaller and faster: pruning, distillation, smaller vocabularies, int8, and chains of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.compression.chain import Compressed, StepResult, TooMuchLost, compress
    from ml_core.compression.measure import Speed, measure_speed, serving_bytes
    from ml_core.compression.options import CompressionConfig, parse_steps
    from ml_core.compression.search import search_compression

__all__ = [
    "Compressed",
    "CompressionConfig",
    "Speed",
    "StepResult",
    "TooMuchLost",
    "compress",
    "measure_speed",
    "parse_steps",
    "search_compression",
    "serving_bytes",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Compressed": "chain",
        "CompressionConfig": "options",
        "Speed": "measure",
        "StepResult": "chain",
        "TooMuchLost": "chain",
        "compress": "chain",
        "measure_speed": "measure",
        "parse_steps": "options",
        "search_compression": "search",
        "serving_bytes": "measure",
    },
)
