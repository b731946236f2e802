"""From the options that a run stores to those that ml_core gets: rows become files, the platform fills in its own."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from ml_core.data import read_rows, write_rows
from rootstock.modelhub.models import (
    Dataset,
    DatasetExample,
    ModelVersion,
    Snapshot,
    Split,
    Task,
    TrainingFile,
    TrainingRun,
)
from rootstock.modelhub.selectors import version_ancestors
from rootstock.modelhub.storage import StorageProblem, absolute_path, local_artifact
from rootstock.modelhub.training_process import TrainingFailed
from rootstock.modelhub.training_settings import Reference, references
from rootstock.tenancy.scope import organisation_scope

_CHUNK = 2000


def part_sizes(snapshot: Snapshot) -> dict[str, int]:
    """Rows of each part of a snapshot; those of its labels where it is older than the counts."""
    return {
        str(split): snapshot.split_counts.get(split)
        or sum(snapshot.label_counts.get(split, {}).values())
        for split in Split
    }


def measured_part(snapshot: Snapshot) -> str:
    """The part that says most: test, or validation when there is no test part."""
    return str(Split.TEST if part_sizes(snapshot)[Split.TEST] else Split.VALIDATION)


def run_options(run: TrainingRun, *, directory: Path, out: Path) -> dict[str, Any]:
    """Every option of a run as `ml_core train` takes it; files that have to be made lie below `directory`.

    They are made once, so that all attempts of a run see the same. Call it outside any transaction.

    Raises:
        TrainingFailed: a row that the run names has gone, or an artefact cannot be had.
    """
    files = absolute_path(run.snapshot.path)
    task = run.snapshot.dataset.task
    inputs = directory / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    options = dict(run.config) | {
        "train": str(files / f"{Split.TRAIN}.jsonl"),
        "validation": str(files / f"{Split.VALIDATION}.jsonl"),
        "task": task,
        "out": str(out),
    }
    if "tensorboard" in run.config.get("reporting", ()):
        options["reporting_directory"] = str(directory / "tensorboard")
    if task == Task.NEXT_ITEM:
        options["items"] = str(files / "items.jsonl")
    with organisation_scope(run.organisation_id):  # type: ignore[arg-type]
        for name, named in references(run.config).items():
            paths = [_path(name, each, inputs) for each in named]
            options[name] = paths if isinstance(run.config[name], list) else paths[0]
        if run.goes_on and run.parent is not None and "earlier" not in run.config:
            options["earlier"] = _earlier(run.parent, inputs)
    if run.parent is not None:
        try:
            artifact = local_artifact(run.parent.artifact_path, run.parent.digest)
        except StorageProblem as error:
            raise TrainingFailed("artifact", str(error)) from error
        options["previous" if run.goes_on else "base"] = str(artifact)
    return options


def unlabelled_texts_file(organisation_id: uuid.UUID, dataset_id: uuid.UUID, inputs: Path) -> str:
    """A file below `inputs` with the texts of a data set that have no answer; made once. Call it outside any
    transaction.

    Raises:
        TrainingFailed: the data set has gone, or has no such text.
    """
    inputs.mkdir(parents=True, exist_ok=True)
    with organisation_scope(organisation_id):
        return _path("unlabelled", Reference("dataset", dataset_id), inputs)


def _path(option: str, named: Reference, inputs: Path) -> str:
    if named.kind == "file":
        file = TrainingFile.objects.filter(pk=named.pk).first()
        if file is None:
            raise TrainingFailed("bad-input", _("A file that this run needs has been deleted."))
        path = absolute_path(file.path)
        return (
            _texts_of_lines(path, inputs / f"{option}.jsonl")
            if path.suffix == ".txt" and (option == "unlabelled")
            else str(path)
        )
    if named.kind == "dataset":
        dataset = Dataset.objects.filter(pk=named.pk).first()
        if dataset is None:
            raise TrainingFailed("bad-input", _("A data set that this run needs has been deleted."))
        return _texts_without_answer(dataset, inputs / f"{option}.jsonl")
    snapshot = Snapshot.objects.select_related("dataset").filter(pk=named.pk).first()
    if snapshot is None:
        raise TrainingFailed("bad-input", _("A snapshot that this run needs has been deleted."))
    if option == "replay":
        return str(absolute_path(snapshot.path) / f"{Split.TRAIN}.jsonl")
    return _measured_file(snapshot, inputs)


def _earlier(parent: ModelVersion, inputs: Path) -> list[str]:
    """The files on which forgetting is measured: of the parent and its ancestors, where the parent knows all labels."""
    known = set(parent.labels)
    snapshots = {
        version.snapshot_id: version.snapshot
        for version in (parent, *version_ancestors(parent))
        if version.snapshot is not None
    }
    return [
        _measured_file(snapshot, inputs)
        for snapshot in snapshots.values()
        if set(snapshot.label_counts.get(measured_part(snapshot), {})) <= known
    ]


def _measured_file(snapshot: Snapshot, inputs: Path) -> str:
    """A part of a snapshot under a name that tells which it is: the record of forgetting names files."""
    part = measured_part(snapshot)
    name = re.sub(r"\W+", "-", snapshot.dataset.name).strip("-")[:60] or "snapshot"
    target = inputs / f"{name}-{snapshot.number}-{part}.jsonl"
    if not target.exists():
        source = absolute_path(snapshot.path) / f"{part}.jsonl"
        if not source.is_file():
            raise TrainingFailed(
                "bad-input", _("The files of the snapshot are not on this machine.")
            )
        shutil.copyfile(source, target)
    return str(target)


def _texts_without_answer(dataset: Dataset, target: Path) -> str:
    """The texts of a data set that nobody has labelled; all, where its task has no answers."""
    if not target.exists():
        examples = DatasetExample.objects.filter(dataset=dataset).order_by("id")
        if dataset.task != Task.MASKED_LANGUAGE_MODEL:
            examples = examples.filter(labelled=False)
        texts = examples.values_list("text", flat=True).iterator(chunk_size=_CHUNK)
        if not _write(target, texts):
            raise TrainingFailed(
                "bad-input",
                _("The data set “%(name)s” has no text without an answer.")
                % {"name": dataset.name},
            )
    return str(target)


def _texts_of_lines(source: Path, target: Path) -> str:
    if not target.exists():
        _write(
            target, (row.content["text"] for row in read_rows(source, Task.MASKED_LANGUAGE_MODEL))
        )
    return str(target)


def _write(target: Path, texts: Iterable[str]) -> int:
    """Write whole or not at all; returns how many."""
    half = target.with_suffix(".half.jsonl")
    count = write_rows(half, _rows(texts))
    if count:
        half.rename(target)
    else:
        half.unlink(missing_ok=True)
    return count


def _rows(texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    for text in texts:
        yield {"text": text}


def as_yaml(options: dict[str, Any]) -> str:
    """Options as a file for `--config`: JSON is YAML, and a name with a colon needs no quoting rules then."""
    return json.dumps(options, ensure_ascii=False)
