"""Read and split the rows of a run. Free of torch, so that bad data is known before seconds go into loading it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ml_core.data.errors import DataError
from ml_core.data.examples import read_examples
from ml_core.data.splits import stratified_split
from ml_core.evaluation.scoring import check_labels
from ml_core.registry.artifact import sha256_file
from ml_core.tasks.base import TaskData
from ml_core.tasks.reading_matching import MATCHING_READERS
from ml_core.tasks.tagged_rows import read_tagged_rows
from ml_core.training.config import TrainConfig


def read_data(config: TrainConfig) -> TaskData:
    """The rows of ``config``'s files for its task.

    Without a validation file a part of the training file is split off. Raises DataError (file, line, what is wrong)
    when a row is unusable, when there is nothing to learn or nothing to validate on.
    """
    data = _READERS[config.task](config)
    data.train_sha256 = sha256_file(config.train)
    data.validation_sha256 = sha256_file(config.validation) if config.validation else None
    return data


def _read_labelled_texts(config: TrainConfig) -> TaskData:
    examples = read_examples(config.train, text=config.text_column, label=config.label_column)
    counts = Counter(example.label for example in examples)
    if len(counts) < 2:
        raise DataError(
            f"all {len(examples)} rows have the label {examples[0].label!r}; at least two labels are needed",
            path=config.train,
        )
    labels = tuple(sorted(counts))
    if config.validation is not None:
        validation = read_examples(
            config.validation, text=config.text_column, label=config.label_column
        )
        check_labels(validation, labels, path=config.validation, known_to="the training file")
        return TaskData(train=examples, validation=validation, labels=labels)
    rest, validation = stratified_split(
        examples, fraction=config.validation_fraction, seed=config.seed
    )
    if not validation:
        raise DataError(
            "every label has a single example, so none can be split off to validate on; "
            "add examples or give a validation file",
            path=config.train,
        )
    return TaskData(train=rest, validation=validation, labels=labels)


_READERS: dict[str, Callable[[TrainConfig], TaskData]] = {
    **MATCHING_READERS,
    "text-classification": _read_labelled_texts,
    "token-classification": read_tagged_rows,
}
