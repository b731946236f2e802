"""The texts of one training run: read, checked and split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ml_core.data.errors import DataError
from ml_core.data.examples import Example, read_examples
from ml_core.data.splits import stratified_split
from ml_core.evaluation.scoring import check_labels
from ml_core.registry.artifact import sha256_file
from ml_core.training.config import TrainConfig


@dataclass(frozen=True)
class Dataset:
    """What to learn from and what to report on; ``labels`` in sorted order. The hashes are those
    of the files."""

    train: list[Example]
    validation: list[Example]
    labels: tuple[str, ...]
    train_sha256: str
    validation_sha256: str | None


def load_dataset(config: TrainConfig) -> Dataset:
    """Read the files of ``config``; without a validation file a stratified part of the training
    file is split off.

    Raises DataError when there is nothing to learn (fewer than two labels), nothing to validate on,
    or the validation file has a label that the training file has not.
    """
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
    else:
        examples, validation = stratified_split(
            examples, fraction=config.validation_fraction, seed=config.seed
        )
        if not validation:
            raise DataError(
                "every label has a single example, so none can be split off to validate on; "
                "add examples or give a validation file",
                path=config.train,
            )
    return Dataset(
        train=examples,
        validation=validation,
        labels=labels,
        train_sha256=sha256_file(config.train),
        validation_sha256=sha256_file(config.validation) if config.validation else None,
    )
