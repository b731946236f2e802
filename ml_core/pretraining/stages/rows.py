"""Read the texts and pairs of distillation and alignment, split them, and give each its teacher's embedding."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml_core.data.errors import DataError
from ml_core.pretraining.stages.imitation import Rows
from ml_core.pretraining.stages.sources import Source, sha256_files
from ml_core.pretraining.stages.teacher import Teacher
from ml_core.tasks.base import TaskData
from ml_core.training.progress import Reporter

# (text, source): for distillation both are the same.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Parts:
    """The rows of each source in order, and those to validate on."""

    train: list[list[Pair]]
    validation: list[Pair]
    sha256: str


def read_parts(sources: Sequence[Source], names: tuple[str, ...], most_validation: int) -> Parts:
    """The rows of ``sources`` whose texts are called ``names`` (one name: a text is its own source).

    The validation parts of corpora are used where there are any; else the rows of up to a twentieth of the source
    texts are split off, those with the lowest hashes, so that they are the same ones however the files are ordered.
    At most ``most_validation`` rows validate. Equal rows of one source are read once. Raises DataError.
    """
    train: list[list[Pair]] = []
    validation: list[Pair] = []
    hashes = []
    for each in sources:
        files, held = each.files(), each.validation_files()
        hashes += [sha256_files(files), sha256_files(held)]
        rows = _rows(each, files, names)
        if not rows:
            raise DataError(f"has no row with {' and '.join(names)}", path=each.path)
        train.append(rows)
        validation += _rows(each, held, names)
    if validation:
        validation = sorted(set(validation), key=_rank)
    else:
        order = sorted({source for rows in train for _, source in rows}, key=_digest)
        taken = set(order[: max(1, min(most_validation, len(order) // 20))])
        validation = sorted({row for rows in train for row in rows if row[1] in taken}, key=_rank)
        train = [[row for row in rows if row[1] not in taken] for rows in train]
        for rows, each in zip(train, sources, strict=True):
            if not rows:
                raise DataError("has too few rows to split some off to validate on", path=each.path)
    return Parts(
        train, validation[:most_validation], hashlib.sha256("".join(hashes).encode()).hexdigest()
    )


def task_data(
    parts: Parts,
    sources: Sequence[Source],
    teacher: Teacher,
    settings: dict[str, Any],
    reporter: Reporter,
) -> TaskData:
    """The rows with the teacher's embeddings, ready for `Imitation`."""
    spans = tuple((len(rows), each.weight) for rows, each in zip(parts.train, sources, strict=True))
    train: Any = _with_vectors(parts.train, spans, teacher, reporter)
    held = [parts.validation]
    validation: Any = _with_vectors(held, ((len(held[0]), 1.0),), teacher, reporter)
    return TaskData(
        train=train,
        validation=validation,
        train_sha256=parts.sha256,
        settings={"stage": settings | {"teacher": teacher.identity}},
    )


def data_rows(parts: Parts, sources: Sequence[Source]) -> list[dict[str, Any]]:
    """What was learned from, for the model card."""
    return [
        {
            "name": each.name,
            "rows": len(rows),
            "weight": each.weight,
            "licence": each.licence,
        }
        for rows, each in zip(parts.train, sources, strict=True)
    ]


def _rows(source: Source, files: Sequence[Path], names: tuple[str, ...]) -> list[Pair]:
    found = ((texts[0].strip(), texts[-1].strip()) for texts in source.records(files, names))
    return list(dict.fromkeys(found))


def _with_vectors(
    parts: Sequence[Sequence[Pair]],
    spans: tuple[tuple[int, float], ...],
    teacher: Teacher,
    reporter: Reporter,
) -> Rows:
    """Each distinct source text of a part is computed once; the key of a text is the same in all parts."""
    keys: dict[str, int] = {}
    texts: list[str] = []
    row_keys: list[int] = []
    places: list[int] = []
    wanted: list[list[str]] = []
    begin = 0
    for rows in parts:
        own = {source: place for place, source in enumerate(dict.fromkeys(row[1] for row in rows))}
        for text, source in rows:
            texts.append(text)
            row_keys.append(keys.setdefault(source, len(keys)))
            places.append(begin + own[source])
        wanted.append(list(own))
        begin += len(own)
    vectors = teacher.vectors(wanted, reporter)
    return Rows(texts, list(keys), np.array(row_keys), np.array(places), vectors, spans)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _rank(row: Pair) -> tuple[bytes, str]:
    return _digest(row[1]), row[0]
