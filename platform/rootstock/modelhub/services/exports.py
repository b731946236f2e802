"""Write a data set to a file that can be imported again."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from ml_core.data import Row, RowError, write_rows
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import Dataset, DatasetExample, DatasetItem, Task
from rootstock.modelhub.row_problems import in_words
from rootstock.modelhub.services.images import image_path

_CHUNK = 2000


def export_formats(task: str) -> list[str]:
    """The suffixes that a data set of this task can be written with."""
    if task == Task.TOKEN_CLASSIFICATION:
        return ["jsonl", "parquet", "conll"]
    if task == Task.IMAGE_CLASSIFICATION:
        return ["zip"]
    return ["jsonl", "csv", "parquet"]


def dataset_export(*, dataset: Dataset, path: Path) -> int:
    """Write all rows to `path` (its suffix says how), in the order they came; returns how many.

    An archive of images has one folder a label; images without one cannot be in it.

    Raises:
        ModelhubError: the format does not fit the task, or cannot hold a row.
    """
    kind = path.suffix.removeprefix(".")
    if kind not in export_formats(dataset.task):
        raise ModelhubError(
            "invalid",
            _("Rows of this task can be exported as %(formats)s.")
            % {"formats": ", ".join(export_formats(dataset.task))},
            errors=[{"pointer": "/format", "detail": kind[:20]}],
        )
    if kind == "zip":
        return _write_images(dataset, path)
    columns = _metadata_columns(dataset) if kind in ("csv", "parquet") else []
    try:
        return write_rows(path, _rows(dataset), task=dataset.task, metadata=columns)
    except RowError as error:
        problem = in_words(error)
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": "/format", "detail": problem}]
        ) from error


def items_export(*, dataset: Dataset, path: Path) -> int:
    """Write the item texts of a next-item data set to a .jsonl file."""
    items = DatasetItem.objects.filter(dataset=dataset).order_by("id").values_list("key", "text")
    return write_rows(path, ({"id": key, "text": text} for key, text in items.iterator(_CHUNK)))


def _rows(dataset: Dataset) -> Iterator[Row]:
    examples = DatasetExample.objects.filter(dataset=dataset).order_by("id")
    rows = examples.values_list("content", "metadata").iterator(chunk_size=_CHUNK)
    return (Row(content, metadata) for content, metadata in rows)


def _metadata_columns(dataset: Dataset) -> list[str]:
    names: set[str] = set()
    examples = DatasetExample.objects.filter(dataset=dataset).exclude(metadata={})
    for metadata in examples.values_list("metadata", flat=True).iterator(chunk_size=_CHUNK):
        names.update(metadata)
    return sorted(names)


def _write_images(dataset: Dataset, path: Path) -> int:
    count = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for row in _rows(dataset):
            label = str(row.content.get("label", "")).replace("/", "_").strip(". ")
            if label:
                name = Path(row.content["image"]).name
                archive.write(image_path(row.content["image"]), f"{label}/{name}")
                count += 1
    return count
