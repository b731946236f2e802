"""Read and split the rows of token-classification. Free of torch."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ml_core.data.errors import DataError
from ml_core.data.rows import Row, RowError, read_rows
from ml_core.data.splits import stratified_split
from ml_core.knowledge import Gazetteer, read_knowledge
from ml_core.models.bio import bio_labels, entity_kinds
from ml_core.tasks.base import TaskData
from ml_core.training.config import TrainConfig

TASK = "token-classification"
# The file of an artefact with the names that its model is told.
GAZETTEER = "gazetteer.csv"
_FLAT_FILES = {".csv", ".jsonl", ".ndjson", ".parquet"}
# The task whose rows are texts and nothing else.
_TEXTS = "masked-language-model"
# A corpus of single characters still has a few longer tokens: emoji of several code points, an unsegmented number.
_LONGER_TOKENS = 0.02


def read_tagged_rows(config: TrainConfig) -> TaskData:
    """The tagged sentences of a run; raises DataError as `ml_core.tasks.reading.read_data` says.

    The labels are O and, for every type in the training file, B- and I-, whether or not both occur. With
    ``config.gazetteer`` its `Gazetteer` is in ``extra``.
    """
    extra = {"gazetteer": read_gazetteer(config.gazetteer)} if config.gazetteer else {}
    rows = list(read_rows(config.train, TASK))
    kinds = entity_kinds({tag for row in rows for tag in row.content["tags"]})
    if not kinds:
        raise DataError(
            f"none of the {len(rows)} sentences has an entity; every tag is O", path=config.train
        )
    labels = bio_labels(kinds)
    if config.validation is not None:
        validation = list(read_rows(config.validation, TASK))
        check_tags(validation, labels, path=config.validation, known_to="the training file")
        return TaskData(train=rows, validation=validation, labels=labels, extra=extra)
    rest, split_off = stratified_split(
        list(zip(rows, _rarest_kinds(rows), strict=True)),
        fraction=config.validation_fraction,
        seed=config.seed,
        label=lambda pair: pair[1],
    )
    if not any(kind for _, kind in split_off):
        raise DataError(
            "too few sentences with entities to split some off to validate on; "
            "add sentences or give a validation file",
            path=config.train,
        )
    return TaskData(
        train=[row for row, _ in rest],
        validation=[row for row, _ in split_off],
        labels=labels,
        extra=extra,
    )


def read_sentences(path: Path, *, text_column: str = "text") -> Iterator[Row]:
    """The rows of a file that are to be tagged: sentences of tokens, or of a .csv, .jsonl or .parquet file with the
    column ``text_column`` its texts. Raises DataError."""
    columns = {"text": text_column}
    if path.suffix.lower() in _FLAT_FILES:
        try:
            next(read_rows(path, _TEXTS, columns=columns))
        except RowError:
            pass  # no texts; what is wrong with its tokens is told by the reader of these
        else:
            return read_rows(path, _TEXTS, columns=columns)
    return read_rows(path, TASK, require_answer=False)


def check_tags(
    rows: Sequence[Row], labels: Sequence[str], *, path: Path | str, known_to: str
) -> None:
    """Raise DataError at the first sentence with an entity type that ``labels`` have not."""
    known = set(labels)
    for row in rows:
        for tag in row.content["tags"]:
            if tag not in known:
                kinds = ", ".join(entity_kinds(labels))
                raise DataError(
                    f"entity type {tag.partition('-')[2]!r} is unknown to {known_to}, which has: {kinds}",
                    path=path,
                    line=row.line,
                )


def read_gazetteer(path: Path) -> Gazetteer:
    """The entries of a file; raises DataError for the file, also when it has none."""
    entries = read_knowledge(path).entries
    if not entries:
        raise DataError("no gazetteer entries", path=path)
    return Gazetteer(entries)


def write_gazetteer(gazetteer: Gazetteer, path: Path) -> None:
    """Write the entries so that `read_gazetteer` gives them back."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["surface", "type"])
        writer.writerows((entry.surface, entry.type) for entry in gazetteer.entries)


def is_by_character(rows: Sequence[Row]) -> bool:
    """Whether the tokens are single characters, as in Chinese corpora, Latin letters included."""
    counts = Counter(len(token) > 1 for row in rows for token in row.content["tokens"])
    return counts[True] <= _LONGER_TOKENS * counts.total()


def _rarest_kinds(rows: Sequence[Row]) -> list[str]:
    """Of each sentence the type that the fewest sentences have; "" without entities."""
    kinds = [entity_kinds(row.content["tags"]) for row in rows]
    counts = Counter(kind for each in kinds for kind in each)
    return [min(each, key=lambda kind: (counts[kind], kind), default="") for each in kinds]
