"""Labelled texts: reading them from files, splitting them, cutting them into batches."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.data.batches import bucketed_batches, padding_budget_batches
    from ml_core.data.errors import DataError
    from ml_core.data.examples import Example, read_examples
    from ml_core.data.splits import stratified_split

__all__ = [
    "DataError",
    "Example",
    "bucketed_batches",
    "padding_budget_batches",
    "read_examples",
    "stratified_split",
]

_HOME = {
    "DataError": "errors",
    "Example": "examples",
    "bucketed_batches": "batches",
    "padding_budget_batches": "batches",
    "read_examples": "examples",
    "stratified_split": "splits",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
