"""Read the rows of text-embedding, reranking and next-item. Free of torch, as `ml_core.tasks.reading` is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ml_core.data.errors import DataError
from ml_core.data.rows import Row, read_items, read_rows
from ml_core.registry.artifact import sha256_file
from ml_core.tasks.base import TaskData
from ml_core.training.config import ConfigError, TrainConfig


def read_pairs(config: TrainConfig) -> TaskData:
    """Rows of text-embedding; rows of one anchor stay in one part."""
    rows = read_pair_rows(config.train)
    if config.validation is not None:
        validation = read_pair_rows(config.validation)
        if _is_scored(validation) != _is_scored(rows):
            raise DataError(
                "either both files have scored pairs or none has", path=config.validation
            )
    else:
        rows, validation = _grouped_split(rows, "anchor", config)
    scored, loss = _is_scored(rows), config.pair_loss
    if loss in ("cosent", "cosine") and not scored:
        raise ConfigError(f"pair_loss: {loss} is for pairs with a score, and the rows have none")
    if loss in ("contrastive", "triplet") and scored:
        raise ConfigError(f"pair_loss: {loss} is for pairs without a score, and the rows have one")
    if loss == "triplet":
        for row in rows:
            if "negative" not in row.content:
                raise DataError(
                    "the triplet loss needs a negative in every row",
                    path=config.train,
                    line=row.line,
                )
    if not scored and loss != "triplet" and len({row.content["positive"] for row in rows}) < 2:
        raise DataError(
            "all rows have the same positive; a text is learned by telling it from others",
            path=config.train,
        )
    return TaskData(train=rows, validation=validation)


def read_pair_rows(path: Path) -> list[Row]:
    """All rows of a file of pairs. Raises DataError, also where some have a score and some have not."""
    rows = list(read_rows(path, "text-embedding"))
    scored = _is_scored(rows)
    for row in rows:
        if ("score" in row.content) != scored:
            raise DataError(
                "either all rows have a score or none has; the first one "
                + ("has one" if scored else "has none"),
                path=path,
                line=row.line,
            )
    return rows


def read_judgements(config: TrainConfig) -> TaskData:
    """Rows of reranking; rows of one query stay in one part."""
    rows = read_judgement_rows(config.train)
    if config.validation is not None:
        validation = read_judgement_rows(config.validation)
    else:
        rows, validation = _grouped_split(rows, "query", config)
        if not any(row.content["label"] for row in validation):
            raise DataError(
                "the rows split off to validate on have no relevant document; give a validation file",
                path=config.train,
            )
    for label, word in ((0, "irrelevant"), (1, "relevant")):
        if all(row.content["label"] != label for row in rows):
            raise DataError(f"no row has an {word} document (label {label})", path=config.train)
    return TaskData(train=rows, validation=validation)


def read_judgement_rows(path: Path) -> list[Row]:
    """All rows of a reranking file. Raises DataError, also where none is relevant."""
    rows = list(read_rows(path, "reranking"))
    if not any(row.content["label"] for row in rows):
        raise DataError("no row has a relevant document (label 1)", path=path)
    return rows


def read_sequences(config: TrainConfig) -> TaskData:
    """Rows of next-item. Without a validation file the last item of each sequence of three or more is left out of
    training, to be told from the ones before it. ``extra`` has ``items`` (id → text, in the file's order) and
    ``items_sha256``."""
    if config.items is None:
        raise ConfigError("items: missing; next-item needs a file of the items' texts")
    texts = read_item_texts(config.items)
    rows = read_sequence_rows(config.train, texts)
    if config.validation is not None:
        validation = read_sequence_rows(config.validation, texts, shortest=2)
    else:
        validation = [row for row in rows if len(row.content["items"]) >= 3]
        rows = [_without_last(row) if len(row.content["items"]) >= 3 else row for row in rows]
        if not validation:
            raise DataError(
                "no sequence has three items, so that the last could be left out to validate on",
                path=config.train,
            )
    rows = [row for row in rows if len(row.content["items"]) >= 2]
    if not rows:
        raise DataError("no sequence has two items to learn an order from", path=config.train)
    extra = {"items": texts, "items_sha256": sha256_file(config.items)}
    return TaskData(train=rows, validation=validation, extra=extra)


def read_item_texts(path: Path) -> dict[str, str]:
    """id → text of a file of items. Raises DataError, also for an id that is there twice."""
    texts: dict[str, str] = {}
    for name, text in read_items(path):
        if name in texts:
            raise DataError(f"the item {name!r} is there twice", path=path, column="id")
        texts[name] = text
    if len(texts) < 2:
        raise DataError("has fewer than two items", path=path)
    return texts


def read_sequence_rows(path: Path, known: Any, *, shortest: int = 1) -> list[Row]:
    """All rows of a file of sequences. Raises DataError at an item that is not in ``known`` (a container of ids) and
    at a sequence of less than ``shortest`` items."""
    rows = list(read_rows(path, "next-item"))
    for row in rows:
        items = row.content["items"]
        unknown = next((item for item in items if item not in known), None)
        if unknown is not None:
            raise DataError(
                f"the item {unknown!r} is not in the file of items",
                path=path,
                line=row.line,
                column="items",
            )
        if len(items) < shortest:
            raise DataError(
                "a single item, with none before it to tell it from", path=path, line=row.line
            )
    return rows


def _is_scored(rows: Sequence[Row]) -> bool:
    return "score" in rows[0].content


def _without_last(row: Row) -> Row:
    content = row.content | {"items": row.content["items"][:-1]}
    return Row(content, row.metadata, row.line)


def _grouped_split(rows: list[Row], key: str, config: TrainConfig) -> tuple[list[Row], list[Row]]:
    """Split off about ``validation_fraction`` of the groups with one value of ``key``; both parts in file order."""
    groups = list(dict.fromkeys(row.content[key] for row in rows))
    if len(groups) < 2:
        raise DataError(
            f"all rows have the same {key}, so none can be split off to validate on; "
            "add rows or give a validation file",
            path=config.train,
        )
    count = min(max(1, round(len(groups) * config.validation_fraction)), len(groups) - 1)
    chosen = set(random.Random(config.seed).sample(groups, count))
    rest = [row for row in rows if row.content[key] not in chosen]
    return rest, [row for row in rows if row.content[key] in chosen]


MATCHING_READERS: dict[str, Callable[[TrainConfig], TaskData]] = {
    "text-embedding": read_pairs,
    "reranking": read_judgements,
    "next-item": read_sequences,
}
