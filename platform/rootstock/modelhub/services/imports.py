"""Import rows from a file: good rows are kept, bad rows are reported with their line and can be downloaded."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ml_core.data import ImageSource, Row, RowError, check_image, read_items, read_rows, task_fields
from rootstock.common.actors import Actor
from rootstock.jobs.services import job_create
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import Dataset, DatasetExample, DatasetImport, DatasetItem, Task
from rootstock.modelhub.row_problems import in_words, told
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.examples import (
    AddResult,
    example_from_row,
    examples_added,
    examples_insert,
    touch,
)
from rootstock.modelhub.services.images import image_store
from rootstock.modelhub.storage import absolute_path, relative_path
from rootstock.tenancy.scope import current_organisation_id

JOB_KIND = "modelhub.import"
MAX_PROBLEMS = 200
_BATCH_ROWS = 1000
_RECORD_CHARACTERS = 20_000

Scope = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class ImportProblem:
    """A row that was left out: its line (counted from 1, the header included; the row's number in Parquet) and why."""

    line: int
    column: str
    detail: str


@dataclass
class ImportReport:
    """What became of a file. `problems` holds the first 200; `problem_count` counts them all."""

    rows: int = 0
    added: int = 0
    duplicates: int = 0
    unlabelled: int = 0
    problem_count: int = 0
    problems: list[ImportProblem] = field(default_factory=list)
    conflicts: list[dict[str, str]] = field(default_factory=list)


def dataset_import(
    *,
    dataset: Dataset,
    path: Path,
    actor: Actor,
    file_name: str = "",
    text_column: str = "text",
    label_column: str = "label",
    columns: Mapping[str, str] | None = None,
    on_progress: Callable[[int], None] | None = None,
    scope: Scope = nullcontext,
) -> ImportReport:
    """Add the rows of a file to a data set, now.

    Its kind is told by the suffix of `file_name` (default: of `path`). A row without its answer waits for a person.
    `columns` gives the file's column for a key of the task's row ("": it has none); `text_column` and `label_column`
    say the same for the text and the answer. `on_progress` is told the number of rows read.

    Raises:
        ModelhubError: the file as a whole cannot be used (kind, encoding, columns); then nothing is added.
    """
    started = import_start(
        dataset=dataset,
        actor=actor,
        file_name=file_name or path.name,
        columns=column_names(dataset.task, text_column, label_column) | dict(columns or {}),
        scope=scope,
    )
    import_run(started, path=path, actor=actor, scope=scope, on_progress=on_progress)
    return import_report(started)


def column_names(task: str, text_column: str, label_column: str) -> dict[str, str]:
    """Columns of the task's row by what people call them: the text and the label."""
    fields = task_fields(task)
    columns = {}
    if "text" in fields.names and text_column:
        columns["text"] = text_column
    if fields.answer and (label_column != "label" or fields.answer == "label"):
        columns[fields.answer] = label_column
    return columns


def import_start(
    *,
    dataset: Dataset,
    actor: Actor,
    file_name: str,
    kind: str = DatasetImport.Kind.ROWS,
    columns: Mapping[str, str] | None = None,
    staged: str = "",
    in_background: bool = False,
    scope: Scope = nullcontext,
) -> DatasetImport:
    """Write down that a file is imported; `in_background` makes the job that reads the `staged` one.

    Raises:
        ModelhubError: a kind of file that holds no rows of this task.
    """
    name = "".join(c for c in file_name if c.isprintable())[-200:]
    _check_suffix(dataset.task, kind, name)
    with scope():
        started = DatasetImport.objects.create(
            dataset=dataset,
            kind=kind,
            file_name=name,
            path=staged,
            options={"columns": dict(columns or {})},
            **authored(actor),
        )
        if in_background:
            started.job = job_create(
                JOB_KIND,
                title=f"{dataset.name}: {name}",
                params={"import": str(started.pk), "dataset": str(dataset.pk)},
                actor=actor,
            )
            started.save(update_fields=["job"])
    return started


def import_stage(chunks: Iterator[bytes], file_name: str) -> str:
    """Put an uploaded file where a worker finds it; returns the stored path."""
    path = relative_path(
        current_organisation_id(), "imports", f"{uuid.uuid4()}{Path(file_name).suffix.lower()}"
    )
    target = absolute_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
    return path


def import_run(
    started: DatasetImport,
    *,
    actor: Actor,
    path: Path | None = None,
    scope: Scope = nullcontext,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Read the file of an import in chunks, each in a transaction of its own (`scope`).

    After a crash it goes on behind the last chunk that was stored. `path` is the file when it is not the staged one.

    Raises:
        ModelhubError: the file as a whole cannot be used.
    """
    source = path or absolute_path(started.path)
    with scope():
        dataset = Dataset.objects.get(pk=started.dataset_id)
        organisation_id = current_organisation_id()
    refused = relative_path(organisation_id, "imports", f"{started.pk}.refused.jsonl")
    target = absolute_path(refused)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A file that is read under another name than it was given keeps the suffix that says its kind.
    with _named(source, Path(started.file_name).suffix) as named, target.open("w") as file:
        note = _Refused(file)
        reading = _Reading(started, dataset, organisation_id, note)
        try:
            with ImageSource(named) as images:
                if started.kind == DatasetImport.Kind.ITEMS:
                    _take(reading, _items(named, note), _insert_items, scope, on_progress)
                else:
                    rows = _examples(reading, named, images)
                    _take(reading, rows, _insert_examples, scope, on_progress)
        except RowError as error:
            target.unlink(missing_ok=True)
            with scope():
                _end(started, actor, dataset, error=in_words(error), remove=path is None)
            problem = in_words(error)
            raise ModelhubError(
                "file-unusable", problem, errors=[{"pointer": "/file", "detail": problem}]
            ) from error
    if note.count:
        started.refused_path = refused
    else:
        target.unlink(missing_ok=True)
    with scope():
        _end(started, actor, dataset, error="", remove=path is None)


def import_report(started: DatasetImport) -> ImportReport:
    """What became of an import, in the present language."""
    return ImportReport(
        rows=started.rows + started.refused,
        added=started.added,
        duplicates=started.duplicates,
        unlabelled=started.unlabelled,
        problem_count=started.refused,
        problems=[
            ImportProblem(
                problem["line"], problem["column"], told(problem["template"], problem["values"])
            )
            for problem in started.problems
        ],
        conflicts=started.conflicts,
    )


def import_refused(started: DatasetImport) -> Iterator[tuple[int, str, str, str]]:
    """(line, column, problem, row as JSON) of every refused row, in the present language."""
    if not started.refused_path:
        return
    path = absolute_path(started.refused_path)
    if not path.is_file():
        raise Conflict("file-gone", _("The list of refused rows is no longer kept."))
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield (
                row["line"],
                row["column"],
                told(row["template"], row["values"]),
                row["record"],
            )


class _Refused:
    """Writes down what is left out."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.count = 0
        self.first: list[dict[str, Any]] = []

    def __call__(self, error: RowError) -> None:
        problem = {
            "line": error.line or 0,
            "column": error.column or "",
            "template": error.template,
            "values": {
                name: value if isinstance(value, (int, float)) else str(value)
                for name, value in error.values.items()
            },
        }
        row = "" if error.record is None else json.dumps(error.record, default=str)
        self._file.write(json.dumps(problem | {"record": row[:_RECORD_CHARACTERS]}) + "\n")
        self.count += 1
        if len(self.first) < MAX_PROBLEMS:
            self.first.append(problem)


@dataclass(frozen=True)
class _Reading:
    """A file that is being read."""

    started: DatasetImport
    dataset: Dataset
    organisation_id: uuid.UUID
    note: _Refused


def _take(
    reading: _Reading,
    rows: Iterator[Any],
    insert: Callable[[_Reading, list[Any], AddResult], None],
    scope: Scope,
    on_progress: Callable[[int], None] | None,
) -> None:
    """Store the rows chunk by chunk, and with each chunk how far it has come."""
    started, note = reading.started, reading.note
    # What an earlier attempt has stored is read again but not stored again.
    for _row in itertools.islice(rows, started.rows):
        pass
    while batch := list(itertools.islice(rows, _BATCH_ROWS)):
        result = AddResult(conflicts=list(started.conflicts))
        with scope():
            insert(reading, batch, result)
            started.rows += len(batch)
            started.added += result.added
            started.duplicates += result.duplicates
            started.conflicts = result.conflicts
            started.refused, started.problems = note.count, note.first
            started.save()
        if on_progress is not None:
            on_progress(started.rows + note.count)
    started.refused = note.count
    started.problems = sorted(note.first, key=lambda problem: int(problem["line"]))


def _insert_examples(reading: _Reading, batch: list[DatasetExample], result: AddResult) -> None:
    examples_insert(reading.dataset, batch, result)
    reading.started.unlabelled += sum(not example.labelled for example in batch)


def _insert_items(reading: _Reading, batch: list[tuple[str, str]], result: AddResult) -> None:
    """Item texts; one that comes again with another wording is replaced."""
    texts = dict(batch)
    dataset = reading.dataset
    known = DatasetItem.objects.filter(dataset=dataset, key__in=list(texts)).count()
    DatasetItem.objects.bulk_create(
        [DatasetItem(dataset=dataset, key=key, text=text) for key, text in texts.items()],
        update_conflicts=True,
        unique_fields=["organisation", "dataset", "key"],
        update_fields=["text", "updated_at"],
    )
    result.added += len(texts) - known
    result.duplicates += len(batch) - len(texts) + known


def _examples(reading: _Reading, path: Path, images: ImageSource) -> Iterator[DatasetExample]:
    dataset, started, note = reading.dataset, reading.started, reading.note
    rows = read_rows(
        path,
        dataset.task,
        columns=started.options["columns"],
        require_answer=False,
        on_problem=note,
    )
    for row in rows:
        try:
            stored, key = row, None
            if dataset.task == Task.IMAGE_CLASSIFICATION:
                stored, key = _image(row, images, reading.organisation_id)
            source = started.file_name[:120]
            yield example_from_row(dataset, stored, source=source, duplicate_key=key)
        except RowError as error:
            refused = error.at(path, row.line)
            refused.record = row.content
            note(refused)


def _image(row: Row, images: ImageSource, organisation_id: uuid.UUID) -> tuple[Row, bytes]:
    """The row with its image stored; the digest of the pixels tells the same picture saved twice."""
    data = images.read(row.content["image"])
    checked = check_image(data)
    stored = image_store(data, checked.suffix, organisation_id)
    content = {**row.content, "image": stored}
    return Row(content, {**row.metadata, "file": row.content["image"]}), checked.pixel_digest


def _items(path: Path, note: _Refused) -> Iterator[tuple[str, str]]:
    for key, text in read_items(path, on_problem=note):
        if len(key) > 200:
            note(RowError("longer than %(longest)s characters", {"longest": 200}, column="id"))
        else:
            yield key, text


def _end(
    started: DatasetImport, actor: Actor, dataset: Dataset, *, error: str, remove: bool
) -> None:
    started.error = error
    started.finished_at = timezone.now()
    if remove and started.path:
        absolute_path(started.path).unlink(missing_ok=True)
        started.path = ""
    started.save()
    if started.kind == DatasetImport.Kind.ITEMS and started.added:
        touch(dataset)
        counts = {"added": started.added, "file": started.file_name}
        record(
            actor=actor,
            action="models.items.add",
            target=dataset.name,
            target_id=dataset.pk,
            changes=counts,
        )
        return
    result = AddResult(started.added, started.duplicates, started.conflicts)
    examples_added(dataset=dataset, result=result, actor=actor, source=started.file_name[:120])


def _named(path: Path, suffix: str) -> AbstractContextManager[Path]:
    """The file under a name with this suffix: uploads lie in files without one."""
    if path.suffix.lower() == suffix.lower() or path.is_dir():
        return nullcontext(path)
    return _Link(path, suffix)


class _Link:
    """A name beside the file that ends as it should, for as long as it is read."""

    def __init__(self, path: Path, suffix: str) -> None:
        self._path = path
        self._link = path.with_name(f"{path.name}.{uuid.uuid4().hex}{suffix}")

    def __enter__(self) -> Path:
        self._link.symlink_to(self._path.resolve())
        return self._link

    def __exit__(self, *_: object) -> None:
        self._link.unlink(missing_ok=True)


def _check_suffix(task: str, kind: str, name: str) -> None:
    suffix = Path(name).suffix.lower()
    if suffix in (".csv", ".jsonl", ".ndjson", ".parquet"):
        return
    allowed = _(".csv, .jsonl or .parquet")
    if kind == DatasetImport.Kind.ROWS:
        if task == Task.TOKEN_CLASSIFICATION:
            return  # CoNLL files have any name
        if task == Task.IMAGE_CLASSIFICATION:
            if suffix in (".zip", ""):
                return
            allowed = _(".zip with one folder a label")
        if task == Task.MASKED_LANGUAGE_MODEL:
            if suffix == ".txt":
                return
            allowed = _(".txt, .csv, .jsonl or .parquet")
    problem = _("Use a %(allowed)s file, not “%(name)s”.") % {"allowed": allowed, "name": name[:80]}
    raise ModelhubError("file-unusable", problem, errors=[{"pointer": "/file", "detail": problem}])
