"""How good a saved model is on labelled texts, with intervals and its worst errors."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.evaluation.metrics import Interval, LabelScores
    from ml_core.evaluation.report import Report, WorstError
    from ml_core.evaluation.scoring import evaluate

__all__ = [
    "Interval",
    "LabelScores",
    "Report",
    "WorstError",
    "evaluate",
]

_HOME = {
    "Interval": "metrics",
    "LabelScores": "metrics",
    "Report": "report",
    "WorstError": "report",
    "evaluate": "scoring",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
