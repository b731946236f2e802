"""The rows of a prepared corpus, as a stream."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ml_core.data.errors import DataError
from ml_core.pretraining.corpus.writing import TRAIN_SHARDS, VALIDATION


def corpus_rows(
    directory: Path, part: Literal["train", "validation"] = "train"
) -> Iterator[dict[str, str]]:
    """Every row of a part, in order. Raises DataError for what is no corpus, and for a shard that cannot be read."""
    shards = sorted(directory.glob(TRAIN_SHARDS))
    if not shards and not (directory / VALIDATION).is_file():
        raise DataError(f"has no {TRAIN_SHARDS}, so this is no prepared corpus", path=directory)
    for path in shards if part == "train" else [directory / VALIDATION]:
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                for line in file:
                    yield json.loads(line)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise DataError(f"cannot be read: {error}", path=path) from error


def corpus_texts(directory: Path, part: Literal["train", "validation"] = "train") -> Iterator[str]:
    """Every text of a part: documents, and both sides of pairs and matches."""
    for row in corpus_rows(directory, part):
        for name in ("text", "zh", "en", "anchor", "positive"):
            if name in row:
                yield row[name]
