"""Read and split the rows of image-classification. Free of torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ml_core.data.errors import DataError
from ml_core.data.examples import Example
from ml_core.data.rows import read_rows
from ml_core.data.splits import stratified_split
from ml_core.evaluation.scoring import check_labels
from ml_core.registry.artifact import sha256_file
from ml_core.tasks.base import TaskData
from ml_core.training.config import TrainConfig


@dataclass(frozen=True)
class ImageExample(Example):
    """A labelled image: ``text`` is its name, which `ml_core.data.images.read_image` finds from ``source``."""

    source: Path = Path()


def read_image_examples(path: Path, *, require_label: bool = True) -> list[ImageExample]:
    """The rows of a file, directory or .zip, in order; see `ml_core.data.rows.read_rows`. The images are not opened."""
    return [
        ImageExample(
            row.content["image"], row.content.get("label", ""), row.line, source=Path(path)
        )
        for row in read_rows(path, "image-classification", require_answer=require_label)
    ]


def read_labelled_images(config: TrainConfig) -> TaskData:
    """The images of a run; raises DataError as `ml_core.tasks.reading.read_data` says."""
    examples = read_image_examples(config.train)
    counts = Counter(example.label for example in examples)
    if len(counts) < 2:
        raise DataError(
            f"all {len(examples)} images have the label {examples[0].label!r}; at least two labels are needed",
            path=config.train,
        )
    labels = tuple(sorted(counts))
    if config.validation is not None:
        validation = read_image_examples(config.validation)
        check_labels(list(validation), labels, path=config.validation, known_to="the training file")
        return TaskData(train=list(examples), validation=list(validation), labels=labels)
    rest, split_off = stratified_split(
        examples, fraction=config.validation_fraction, seed=config.seed
    )
    if not split_off:
        raise DataError(
            "every label has a single image, so none can be split off to validate on; "
            "add images or give a validation file",
            path=config.train,
        )
    return TaskData(train=list(rest), validation=list(split_off), labels=labels)


def sha256_tree(path: Path) -> str:
    """SHA-256 of a file; of a directory, over the names and hashes of all files in it."""
    if not path.is_dir():
        return sha256_file(path)
    digest = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}:{sha256_file(file)}\n".encode())
    return digest.hexdigest()
