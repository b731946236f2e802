"""Data sets and their examples: create, add, relabel, delete."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.translation import gettext as _

from ml_core.text import content_hash
from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import (
    Dataset,
    DatasetExample,
    LabelChange,
    Language,
    Snapshot,
    Task,
    TrainingRun,
)
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.storage import remove_trees

MAX_TEXT_CHARACTERS = 100_000
MAX_LABEL_CHARACTERS = 120
_INSERT_ROWS = 1000


@dataclass(frozen=True)
class NewExample:
    """A text to add; an empty label waits for a person."""

    text: str
    label: str = ""
    source: str = ""


@dataclass
class AddResult:
    """What became of added examples. `conflicts` are texts that are there with another label, which was kept."""

    added: int = 0
    duplicates: int = 0
    conflicts: list[dict[str, str]] = field(default_factory=list)


def dataset_create(
    *,
    name: str,
    actor: Actor,
    task: str = Task.TEXT_CLASSIFICATION,
    description: str = "",
    language: str = Language.ENGLISH,
) -> Dataset:
    """A new, empty data set.

    Raises:
        Conflict: the organisation has one of this name.
        ModelhubError: the name is empty or too long, the task or language unknown.
    """
    name = _clean_name(name)
    _check_choice("task", task, Task.values)
    _check_choice("language", language, Language.values)
    with _name_taken(name), transaction.atomic():
        dataset = Dataset.objects.create(
            name=name, task=task, description=description.strip(), language=language
        )
    record(
        actor=actor,
        action="models.dataset.create",
        target=name,
        target_id=dataset.pk,
        changes={"task": task, "language": language},
        event={"name": name},
    )
    return dataset


def dataset_update(
    *,
    dataset: Dataset,
    actor: Actor,
    name: str | None = None,
    description: str | None = None,
    language: str | None = None,
) -> Dataset:
    """Change the given fields.

    Raises:
        Conflict: another data set has this name.
    """
    wanted: dict[str, str] = {}
    if name is not None:
        wanted["name"] = _clean_name(name)
    if description is not None:
        wanted["description"] = description.strip()
    if language is not None:
        _check_choice("language", language, Language.values)
        wanted["language"] = language
    changes = {
        key: [getattr(dataset, key), value]
        for key, value in wanted.items()
        if getattr(dataset, key) != value
    }
    if not changes:
        return dataset
    for key, value in wanted.items():
        setattr(dataset, key, value)
    with _name_taken(dataset.name), transaction.atomic():
        dataset.save()
    record(
        actor=actor,
        action="models.dataset.update",
        target=dataset.name,
        target_id=dataset.pk,
        changes=changes,
        event={"name": dataset.name},
    )
    return dataset


def dataset_delete(*, dataset: Dataset, actor: Actor) -> None:
    """Delete a data set, its examples and its unused snapshots.

    Raises:
        Conflict: a training run was made from one of its snapshots; its lineage would be lost.
    """
    in_use = TrainingRun.objects.filter(snapshot__dataset=dataset).count()
    if in_use:
        raise Conflict(
            "dataset-in-use",
            _("%(count)d training run(s) were made from this data set, so it is kept.")
            % {"count": in_use},
        )
    dataset_id, name = dataset.pk, dataset.name
    paths = list(Snapshot.objects.filter(dataset=dataset).values_list("path", flat=True))
    try:
        with transaction.atomic():
            # One statement: the examples may be many, and their history goes with them in the database.
            DatasetExample.objects.filter(dataset=dataset)._raw_delete("default")
            dataset.delete()
    except ProtectedError as error:
        raise Conflict(
            "dataset-in-use",
            _("A model version was made from this data set, so it is kept."),
        ) from error
    # Equal content has equal paths: another data set may have frozen the same texts.
    kept = set(Snapshot.objects.filter(path__in=paths).values_list("path", flat=True))
    unused = [path for path in paths if path not in kept]
    transaction.on_commit(lambda: remove_trees(unused))
    record(
        actor=actor,
        action="models.dataset.delete",
        target=name,
        target_id=dataset_id,
        event={"name": name},
    )


def examples_add(
    *, dataset: Dataset, examples: Iterable[NewExample], actor: Actor, source: str = ""
) -> AddResult:
    """Add examples; a text that is there already is counted as a duplicate and left as it is.

    `source` holds for examples that name none.

    Raises:
        ModelhubError: with the index of every faulty example; then none is added.
    """
    rows = list(examples)
    errors = [
        {"pointer": f"/examples/{index}/{place}", "detail": problem}
        for index, example in enumerate(rows)
        for place, problem in example_problems(example)
    ]
    if errors:
        raise ModelhubError(
            "invalid",
            _("%(count)d value(s) are not valid.") % {"count": len(errors)},
            errors=errors,
        )
    result = AddResult()
    for start in range(0, len(rows), _INSERT_ROWS):
        insert_examples(dataset, rows[start : start + _INSERT_ROWS], source=source, result=result)
    examples_added(dataset=dataset, result=result, actor=actor, source=source)
    return result


def example_problems(example: NewExample) -> list[tuple[str, str]]:
    """What is wrong with an example, as (field, problem in words)."""
    problems: list[tuple[str, str]] = []
    text_problem = _text_problem(example.text, MAX_TEXT_CHARACTERS)
    if not example.text.strip():
        text_problem = _("the text is empty")
    if text_problem:
        problems.append(("text", text_problem))
    for place, value in (("label", example.label), ("source", example.source)):
        problem = _text_problem(value, MAX_LABEL_CHARACTERS)
        if problem:
            problems.append((place, problem))
    return problems


def insert_examples(
    dataset: Dataset, rows: Sequence[NewExample], *, source: str, result: AddResult
) -> None:
    """Insert checked rows with one statement and count into `result` what was new."""
    new: dict[bytes, DatasetExample] = {}
    for row in rows:
        digest = hashlib.sha256(row.text.encode()).digest()
        label = row.label.strip()
        earlier = new.get(digest)
        if earlier is not None:
            result.duplicates += 1
            _note_conflict(result, row.text, kept=earlier.label, given=label)
            continue
        new[digest] = DatasetExample(
            dataset=dataset,
            text=row.text,
            label=label,
            source=(row.source or source).strip(),
            digest=digest,
            duplicate_key=content_hash(row.text),
        )
    present = {
        bytes(digest): label
        for digest, label in DatasetExample.objects.filter(
            dataset=dataset, digest__in=list(new)
        ).values_list("digest", "label")
    }
    for digest, kept in present.items():
        example = new.pop(digest)
        result.duplicates += 1
        _note_conflict(result, example.text, kept=kept, given=example.label)
    # Ids made within one millisecond are in no order; sorted, they keep the order of the file.
    ids = sorted(uuid7() for _ in new)
    for example, example_id in zip(new.values(), ids, strict=True):
        example.pk = example_id
    # Another writer may have added one of them since: ON CONFLICT DO NOTHING keeps theirs.
    DatasetExample.objects.bulk_create(new.values(), ignore_conflicts=True)
    result.added += len(new)


def examples_added(*, dataset: Dataset, result: AddResult, actor: Actor, source: str) -> None:
    """Audit row and event of an addition; a data set that got nothing new has not changed."""
    if not result.added:
        return
    _touch(dataset)
    counts = {"added": result.added, "duplicates": result.duplicates}
    record(
        actor=actor,
        action="models.examples.add",
        target=dataset.name,
        target_id=dataset.pk,
        changes=counts | {"source": source, "conflicts": len(result.conflicts)},
        event=counts,
    )


def example_relabel(*, example: DatasetExample, label: str, actor: Actor) -> DatasetExample:
    """Give an example another label; the old one stays in its history.

    Raises:
        ModelhubError: the label is too long or not text.
    """
    label = label.strip()
    problem = _text_problem(label, MAX_LABEL_CHARACTERS)
    if problem:
        raise ModelhubError("invalid", problem, errors=[{"pointer": "/label", "detail": problem}])
    locked = DatasetExample.objects.select_for_update().get(pk=example.pk)
    before = locked.label
    if before == label:
        return locked
    locked.label = label
    locked.save(update_fields=["label", "updated_at"])
    LabelChange.objects.create(example=locked, from_label=before, to_label=label, **authored(actor))
    _touch(locked.dataset)
    record(
        actor=actor,
        action="models.example.relabel",
        target=locked.text[:80],
        target_id=locked.pk,
        changes={"label": [before, label], "dataset": str(locked.dataset_id)},
        event={"dataset": str(locked.dataset_id), "label": label},
    )
    return locked


def example_delete(*, example: DatasetExample, actor: Actor) -> None:
    """Remove an example and its history from the data set; snapshots that hold it are not changed."""
    example_id, dataset = example.pk, example.dataset
    # Not Model.delete(): the application's role may not delete history, the database's cascade does.
    DatasetExample.objects.filter(pk=example_id)._raw_delete("default")
    _touch(dataset)
    record(
        actor=actor,
        action="models.example.delete",
        target=example.text[:80],
        target_id=example_id,
        changes={"dataset": str(dataset.pk)},
        event={"dataset": str(dataset.pk)},
    )


def _touch(dataset: Dataset) -> None:
    Dataset.objects.filter(pk=dataset.pk).update(updated_at=timezone.now())


def _note_conflict(result: AddResult, text: str, *, kept: str, given: str) -> None:
    if given and kept != given and len(result.conflicts) < 100:
        result.conflicts.append({"text": text[:200], "kept": kept, "given": given})


def _text_problem(value: Any, longest: int) -> str:
    if not isinstance(value, str):
        return _("not text")
    if len(value) > longest:
        return _("longer than %(longest)s characters") % {"longest": f"{longest:,}"}
    if "\0" in value:
        return _("contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        return _("contains half of a character (a lone surrogate)")
    return ""


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    problem = _("Give it a name.") if not name else _text_problem(name, 120)
    if problem:
        raise ModelhubError("invalid", problem, errors=[{"pointer": "/name", "detail": problem}])
    return name


def _check_choice(place: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        problem = _("%(value)r is not one of %(allowed)s") % {
            "value": value[:60],
            "allowed": ", ".join(allowed),
        }
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}]
        )


class _name_taken:  # noqa: N801 - reads as a sentence in `with`
    """Turns the unique constraint on names into a refusal that says so."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, IntegrityError) and "dataset_name_once" in str(error):
            raise Conflict(
                "name-taken",
                _("There is already a data set named “%(name)s”.") % {"name": self.name},
            ) from error
