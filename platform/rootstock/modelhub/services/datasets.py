"""Data sets: create, change, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from rootstock.common.actors import Actor
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import (
    Annotation,
    AnswerSheet,
    Dataset,
    DatasetExample,
    DatasetImport,
    Decision,
    Language,
    Snapshot,
    Task,
    TrainingRun,
)
from rootstock.modelhub.services.answers import answers_unused
from rootstock.modelhub.services.events import record
from rootstock.modelhub.services.images import images_remove_unused
from rootstock.modelhub.storage import remove_trees


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
    files = DatasetImport.objects.filter(dataset=dataset).values_list("path", "refused_path")
    unused = [path for pair in files for path in pair if path]
    images = DatasetExample.objects.filter(dataset=dataset, content__has_key="image")
    names = list(images.values_list("content__image", flat=True))
    sheets = list(
        AnswerSheet.objects.filter(snapshot__dataset=dataset).values_list("path", flat=True)
    )
    try:
        with transaction.atomic():
            for rows in (Annotation, Decision):
                rows.objects.filter(example__dataset=dataset).delete()
            # One statement: the examples may be many, and their history goes with them in the database.
            DatasetExample.objects.filter(dataset=dataset)._raw_delete("default")
            dataset.delete()
    except ProtectedError as error:
        raise Conflict(
            "dataset-in-use",
            _("A model version was made from this data set, so it is kept."),
        ) from error
    # Answers of versions that stay, which were measured on it, go with it.
    unused += answers_unused(sheets)
    # Equal content has equal paths: another data set may have frozen the same texts.
    kept = set(Snapshot.objects.filter(path__in=paths).values_list("path", flat=True))
    unused += [path for path in paths if path not in kept]
    images_remove_unused(names)
    transaction.on_commit(lambda: remove_trees(unused))
    record(
        actor=actor,
        action="models.dataset.delete",
        target=name,
        target_id=dataset_id,
        event={"name": name},
    )


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
