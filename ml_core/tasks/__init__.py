"""What can be learned: one module a task, each with a `Task` that the one training loop drives."""

from __future__ import annotations

import importlib
from pathlib import Path

from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import Report, RowPredictor, Task

# Where each task's class lives; a task's module is imported (and torch with it) only when it is asked for.
_HOMES = {
    "text-classification": ("text_classification", "TextClassification"),
    "multi-label-classification": ("text_classification", "MultiLabelClassification"),
    "token-classification": ("token_classification", "TokenClassification"),
    "span-classification": ("span_classification", "SpanClassification"),
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


def predictor_class(name: str) -> type[RowPredictor]:
    """The class that applies a saved model of the task called ``name`` to rows."""
    module, attribute = task_class(name).predictor.split(":")
    found: type[RowPredictor] = getattr(importlib.import_module(module), attribute)
    return found


def evaluate_artifact(
    artifact: Artifact, data: Path, *, device: str = "auto", **columns: str
) -> Report:
    """Score a saved model of any task on a file of its rows.

    ``columns`` name the columns of tasks on flat texts. Raises DataError, ArtifactError, and ValueError for a device
    that is not there.
    """
    module = importlib.import_module(task_class(artifact.manifest.task).__module__)
    found: Report = module.evaluate_artifact(artifact, data, device=device, **columns)
    return found


__all__ = ["RowPredictor", "Task", "evaluate_artifact", "predictor_class", "task_class"]
