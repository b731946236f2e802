"""Read the rows of text-generation and masked-language-model. Free of torch, as `ml_core.tasks.reading` is."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from ml_core.data.errors import DataError
from ml_core.data.rows import Row, read_rows, row_question
from ml_core.tasks.base import TaskData
from ml_core.training.config import TrainConfig


def read_conversations(config: TrainConfig) -> TaskData:
    """Rows of text-generation; conversations with the same questions stay in one part."""
    return _read(config, lambda path: list(read_rows(path, "text-generation")))


def read_texts(config: TrainConfig) -> TaskData:
    """Rows of masked-language-model; equal texts stay in one part."""
    return _read(config, lambda path: read_text_rows(path, config.text_column))


def read_text_rows(path: Path, column: str = "text") -> list[Row]:
    """All texts of a file; of a .txt each line is one. Raises DataError."""
    columns = {} if path.suffix.lower() == ".txt" else {"text": column}
    return list(read_rows(path, "masked-language-model", columns=columns))


def unlabelled_texts(path: Path, column: str) -> list[str]:
    """The texts of a file without labels, each once, in its order. Raises DataError."""
    return list(dict.fromkeys(str(row.content["text"]) for row in read_text_rows(path, column)))


def _read(config: TrainConfig, read: Callable[[Path], list[Row]]) -> TaskData:
    rows = read(config.train)
    if config.validation is not None:
        return TaskData(train=rows, validation=read(config.validation))
    return split_rows(rows, config)


def split_rows(rows: list[Row], config: TrainConfig) -> TaskData:
    """Split off a part to validate on; rows that ask the same stay in one part. Raises DataError when all do."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        groups[row_question(config.task, row.content)].append(place)
    if len(groups) < 2:
        raise DataError(
            "all rows ask the same, so none can be split off to validate on; add rows or give a validation file",
            path=config.train,
        )
    order = list(groups.values())
    random.Random(config.seed).shuffle(order)
    wanted = max(1, round(len(rows) * config.validation_fraction))
    chosen: set[int] = set()
    for places in order[:-1]:
        if len(chosen) >= wanted:
            break
        chosen.update(places)
    return TaskData(
        train=[row for place, row in enumerate(rows) if place not in chosen],
        validation=[rows[place] for place in sorted(chosen)],
    )


TEXT_READERS: dict[str, Callable[[TrainConfig], TaskData]] = {
    "text-generation": read_conversations,
    "masked-language-model": read_texts,
}
