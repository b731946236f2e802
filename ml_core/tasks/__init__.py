"""What can be learned: one module a task, each with a `Task` that the one training loop drives."""

from __future__ import annotations

import importlib

from ml_core.tasks.base import RowPredictor, Task

# Where each task's class lives; a task's module is imported (and torch with it) only when it is asked for.
_HOMES = {
    "text-classification": ("text_classification", "TextClassification"),
    "multi-label-classification": ("text_classification", "MultiLabelClassification"),
    "token-classification": ("token_classification", "TokenClassification"),
    "text-embedding": ("text_embedding", "TextEmbedding"),
    "reranking": ("reranking", "Reranking"),
    "text-generation": ("text_generation", "TextGeneration"),
    "image-classification": ("image_classification", "ImageClassification"),
    "next-item": ("next_item", "NextItem"),
    "masked-language-model": ("masked_language_model", "MaskedLanguageModel"),
}


def task_class(name: str) -> type[Task]:
    """The class of the task called ``name``; KeyError for an unknown one."""
    module, attribute = _HOMES[name]
    found: type[Task] = getattr(importlib.import_module(f"ml_core.tasks.{module}"), attribute)
    return found


__all__ = ["RowPredictor", "Task", "task_class"]
