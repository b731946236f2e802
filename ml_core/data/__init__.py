"""Rows of every task: reading them from files, splitting them, cutting them into batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.data.batches import bucketed_batches, padding_budget_batches
    from ml_core.data.errors import DataError
    from ml_core.data.examples import Example, read_examples
    from ml_core.data.images import ImageSource, check_image, read_image
    from ml_core.data.rows import (
        Row,
        RowError,
        is_answered,
        join_tokens,
        parse_row,
        read_items,
        read_rows,
        row_identity,
        row_messages,
        row_question,
        row_text,
        task_fields,
        write_rows,
    )
    from ml_core.data.splits import stratified_split

__all__ = [
    "DataError",
    "Example",
    "ImageSource",
    "Row",
    "RowError",
    "bucketed_batches",
    "check_image",
    "is_answered",
    "join_tokens",
    "padding_budget_batches",
    "parse_row",
    "read_examples",
    "read_image",
    "read_items",
    "read_rows",
    "row_identity",
    "row_messages",
    "row_question",
    "row_text",
    "stratified_split",
    "task_fields",
    "write_rows",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DataError": "errors",
        "Example": "examples",
        "ImageSource": "images",
        "Row": "rows",
        "RowError": "rows",
        "bucketed_batches": "batches",
        "check_image": "images",
        "is_answered": "rows",
        "join_tokens": "rows",
        "padding_budget_batches": "batches",
        "parse_row": "rows",
        "read_examples": "examples",
        "read_image": "images",
        "read_items": "rows",
        "read_rows": "rows",
        "row_identity": "rows",
        "row_messages": "rows",
        "row_question": "rows",
        "row_text": "rows",
        "stratified_split": "splits",
        "task_fields": "rows",
        "write_rows": "rows",
    },
)
