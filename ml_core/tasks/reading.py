"""Read and split the rows of a run. Free of torch, so that bad data is known before seconds go into loading it."""

from __future__ import annotations

from collections.abc import Callable

from ml_core.tasks.base import TaskData
from ml_core.tasks.image_rows import read_labelled_images, sha256_tree
from ml_core.tasks.labelled_texts import read_labelled_texts, read_multi_label_texts
from ml_core.tasks.reading_matching import MATCHING_READERS
from ml_core.tasks.reading_texts import TEXT_READERS
from ml_core.tasks.span_rows import read_span_rows
from ml_core.tasks.tagged_rows import read_tagged_rows
from ml_core.training.config import TrainConfig

_READERS: dict[str, Callable[[TrainConfig], TaskData]] = {
    **MATCHING_READERS,
    **TEXT_READERS,
    "image-classification": read_labelled_images,
    "multi-label-classification": read_multi_label_texts,
    "span-classification": read_span_rows,
    "text-classification": read_labelled_texts,
    "token-classification": read_tagged_rows,
}


def read_data(config: TrainConfig) -> TaskData:
    """The rows of ``config``'s files for its task.

    Without a validation file a part of the training file is split off. Raises DataError (file, line, what is wrong)
    when a row is unusable, when there is nothing to learn or nothing to validate on.
    """
    data = _READERS[config.task](config)
    data.train_sha256 = sha256_tree(config.train)
    data.validation_sha256 = sha256_tree(config.validation) if config.validation else None
    return data
