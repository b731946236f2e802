"""Read and split the rows of span-classification. Free of torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ml_core.data.errors import DataError
from ml_core.data.rows import Row, read_rows
from ml_core.data.splits import stratified_split
from ml_core.tasks.base import TaskData
from ml_core.training.config import TrainConfig

TASK = "span-classification"


def read_span_rows(config: TrainConfig) -> TaskData:
    """Texts with labelled spans; raises DataError as `ml_core.tasks.reading.read_data` says."""
    rows = list(read_rows(config.train, TASK))
    counts = Counter(label for row in rows for label in row.content["labels"])
    if len(counts) < 2:
        raise DataError(
            f"all {counts.total()} spans have the label {next(iter(counts))!r}; at least two labels are needed",
            path=config.train,
        )
    labels = tuple(sorted(counts))
    if config.validation is not None:
        validation = list(read_rows(config.validation, TASK))
        check_span_labels(validation, labels, path=config.validation, known_to="the training file")
        return TaskData(train=rows, validation=validation, labels=labels)
    # By each text's rarest label, so that a label of few spans is in both parts.
    keyed = [
        (row, min(row.content["labels"], key=lambda label: (counts[label], label))) for row in rows
    ]
    rest, split_off = stratified_split(
        keyed, fraction=config.validation_fraction, seed=config.seed, label=lambda pair: pair[1]
    )
    if not split_off:
        raise DataError(
            "too few texts to split some off to validate on; add texts or give a validation file",
            path=config.train,
        )
    return TaskData(
        train=[row for row, _ in rest], validation=[row for row, _ in split_off], labels=labels
    )


def check_span_labels(
    rows: Sequence[Row], labels: Sequence[str], *, path: Path | str, known_to: str
) -> None:
    """Raise DataError at the first row with a label that is not one of ``labels``."""
    for row in rows:
        for label in row.content["labels"]:
            if label not in labels:
                raise DataError(
                    f"label {label!r} is unknown to {known_to}, which has: {', '.join(labels[:20])}",
                    path=path,
                    line=row.line,
                )
