"""The arguments of commands that read rows for a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from ml_core.data.rows import FIELDS

FLAT_TEXTS = {"text-classification", "multi-label-classification"}


def add_artifact_and_data(command: argparse.ArgumentParser) -> None:
    """Add the artefact, the file of rows, its column of texts, and the device."""
    command.add_argument("artifact", type=Path, metavar="DIR", help="the artefact's directory")
    command.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help=".csv, .jsonl or .parquet"
    )
    command.add_argument("--text-column", default="text", help="column of the text")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def unanswered_columns(task: str, text_column: str) -> dict[str, str]:
    """Columns of a file whose rows need no answer: one that is there is not read."""
    columns = {"text": text_column} if task in FLAT_TEXTS else {}
    if task in FLAT_TEXTS or task in {"reranking", "image-classification"}:
        columns[str(FIELDS[task].answer)] = ""
    return columns
