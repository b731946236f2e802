"""Examples of a data set: add, remove, and say how unsure a model is about them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ml_core.data import (
    Row,
    RowError,
    is_answered,
    parse_row,
    row_identity,
    row_question,
    row_text,
    task_fields,
)
from ml_core.text import content_hash
from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import Annotation, Dataset, DatasetExample, Decision, Task
from rootstock.modelhub.row_problems import in_words
from rootstock.modelhub.services.events import record
from rootstock.modelhub.services.images import images_remove_unused

MAX_TEXT_CHARACTERS = 100_000
MAX_LABEL_CHARACTERS = 120
MAX_METADATA = 50
MAX_CONFLICTS = 100
_INSERT_ROWS = 1000
_LABEL_KEYS = frozenset({"label", "labels", "tags"})


@dataclass(frozen=True)
class NewExample:
    """A row to add: `content` as the task wants it, or for tasks with a text `text` and `label`.

    Without its answer it waits for a person. `metadata` holds plain values by column. `subject`: see `SourceRow`.
    """

    text: str = ""
    label: str = ""
    source: str = ""
    content: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    uncertainty: float | None = None
    subject: tuple[str, uuid.UUID] | None = None


@dataclass
class AddResult:
    """What became of added examples. `conflicts` are those that are there with another answer, which was kept."""

    added: int = 0
    duplicates: int = 0
    refused: int = 0
    conflicts: list[dict[str, str]] = field(default_factory=list)


def examples_add(
    *, dataset: Dataset, examples: Iterable[NewExample], actor: Actor, source: str = ""
) -> AddResult:
    """Add examples; a row that is there already is counted as a duplicate and left as it is.

    `source` holds for examples that name none.

    Raises:
        ModelhubError: with the index of every faulty example; then none is added.
    """
    rows: list[DatasetExample] = []
    errors: list[dict[str, str]] = []
    for index, example in enumerate(examples):
        try:
            rows.append(example_new(dataset, example, source=source))
        except RowError as error:
            place = f"content/{error.column}" if example.content is not None else error.column
            errors.append({"pointer": f"/examples/{index}/{place}", "detail": in_words(error)})
    if errors:
        raise ModelhubError(
            "invalid",
            _("%(count)d value(s) are not valid.") % {"count": len(errors)},
            errors=errors,
        )
    result = AddResult()
    for start in range(0, len(rows), _INSERT_ROWS):
        examples_insert(dataset, rows[start : start + _INSERT_ROWS], result)
    examples_added(dataset=dataset, result=result, actor=actor, source=source)
    return result


def example_new(dataset: Dataset, example: NewExample, *, source: str = "") -> DatasetExample:
    """The row of an example, checked and not yet saved.

    Raises:
        RowError: what is wrong with it, and in which column.
    """
    content = example.content
    if content is None:
        content = {"text": example.text, "label": example.label}
        if dataset.task == Task.MULTI_LABEL_CLASSIFICATION:
            content = {"text": example.text, "labels": example.label}
    names = {*task_fields(dataset.task).names, "label"}
    for name in example.metadata:
        if name in names:
            raise RowError("there is no such key", column=f"metadata/{name}")
    row = parse_row(dataset.task, content, require_answer=False)
    metadata = parse_row(
        dataset.task, {**content, **example.metadata}, require_answer=False
    ).metadata
    if not task_fields(dataset.task).answer:
        metadata.pop("label", None)
    row = Row(row.content, metadata)
    made = example_from_row(dataset, row, source=(example.source or source))
    made.uncertainty = example.uncertainty
    if example.subject is not None:
        made.subject_type, made.subject_id = example.subject
    return made


def example_from_row(
    dataset: Dataset, row: Row, *, source: str, duplicate_key: bytes | None = None
) -> DatasetExample:
    """The database's row of a parsed row, not yet saved.

    Raises:
        RowError: a text or label is longer than the model hub keeps, or there are too many columns.
    """
    check_limits(row.content)
    if len(row.metadata) > MAX_METADATA:
        raise RowError("more than %(limit)s values", {"limit": MAX_METADATA}, column="metadata")
    source = source.strip()
    _check_length(source, MAX_LABEL_CHARACTERS, "source")
    made = DatasetExample(
        # Not from the scope: rows of a file are made between the transactions that store them.
        organisation_id=dataset.organisation_id,
        dataset=dataset,
        content=row.content,
        metadata={
            name[:120]: value[:2000] if isinstance(value, str) else value
            for name, value in row.metadata.items()
        },
        source=source,
    )
    describe(made, dataset.task)
    made.duplicate_key = duplicate_key or content_hash(row_question(dataset.task, row.content))
    return made


def describe(example: DatasetExample, task: str) -> None:
    """Fill the columns that follow from the content."""
    content = example.content
    example.text = row_text(task, content)
    example.label = single_label(content)
    example.labelled = is_answered(task, content)
    identity = content["text"] if task == Task.TEXT_CLASSIFICATION else row_identity(task, content)
    example.digest = hashlib.sha256(identity.encode()).digest()


def single_label(content: Mapping[str, Any]) -> str:
    """The label of a row of a task with one label a row, else ""."""
    return str(content.get("label", ""))


def check_limits(content: Mapping[str, Any]) -> None:
    """Raises RowError for a text or label that is longer than the model hub keeps."""
    for name, value in content.items():
        longest = MAX_LABEL_CHARACTERS if name in _LABEL_KEYS else MAX_TEXT_CHARACTERS
        for part in value if isinstance(value, list) else [value]:
            text = part.get("content", "") if isinstance(part, dict) else part
            if isinstance(text, str):
                _check_length(text, longest, name)


def _check_length(text: str, longest: int, column: str) -> None:
    if len(text) > longest:
        raise RowError(
            "longer than %(longest)s characters", {"longest": f"{longest:,}"}, column=column
        )


def examples_insert(dataset: Dataset, rows: Sequence[DatasetExample], result: AddResult) -> None:
    """Insert checked rows with one statement and count into `result` what was new."""
    new: dict[bytes, DatasetExample] = {}
    for row in rows:
        digest = bytes(row.digest)
        earlier = new.get(digest)
        if earlier is not None:
            result.duplicates += 1
            _note_conflict(result, dataset.task, row, kept=earlier.content)
            continue
        new[digest] = row
    present = DatasetExample.objects.filter(dataset=dataset, digest__in=list(new))
    for kept_digest, kept in present.values_list("digest", "content"):
        row = new.pop(bytes(kept_digest))
        result.duplicates += 1
        _note_conflict(result, dataset.task, row, kept=kept)
    # Ids made within one millisecond are in no order; sorted, they keep the order of the file.
    ids = sorted(uuid7() for _ in new)
    for row, row_id in zip(new.values(), ids, strict=True):
        row.pk = row_id
    # Another writer may have added one of them since: ON CONFLICT DO NOTHING keeps theirs.
    DatasetExample.objects.bulk_create(new.values(), ignore_conflicts=True)
    result.added += len(new)


def examples_added(*, dataset: Dataset, result: AddResult, actor: Actor, source: str) -> None:
    """Audit row and event of an addition; a data set that got nothing new has not changed."""
    if not result.added:
        return
    touch(dataset)
    counts = {"added": result.added, "duplicates": result.duplicates}
    record(
        actor=actor,
        action="models.examples.add",
        target=dataset.name,
        target_id=dataset.pk,
        changes=counts | {"source": source, "conflicts": len(result.conflicts)},
        event=counts,
    )


def example_delete(*, example: DatasetExample, actor: Actor) -> None:
    """Remove an example and its history from the data set; snapshots that hold it are not changed."""
    example_id, dataset = example.pk, example.dataset
    image = example.content.get("image")
    Annotation.objects.filter(example=example_id).delete()
    Decision.objects.filter(example=example_id).delete()
    # Not Model.delete(): the application's role may not delete history, the database's cascade does.
    DatasetExample.objects.filter(pk=example_id)._raw_delete("default")
    if image:
        images_remove_unused([image])
    touch(dataset)
    record(
        actor=actor,
        action="models.example.delete",
        target=example.text[:80],
        target_id=example_id,
        changes={"dataset": str(dataset.pk)},
        event={"dataset": str(dataset.pk)},
    )


def examples_forget(*, subject_type: str, subject_ids: Iterable[uuid.UUID]) -> int:
    """Remove the examples made of something that must not be kept; how many. Snapshots that hold them are not changed.

    Of their texts nothing is logged: whoever asks for it keeps a record of their own.
    """
    found = DatasetExample.objects.filter(
        subject_type=subject_type, subject_id__in=list(subject_ids)
    ).select_related("dataset")
    examples = {example.pk: example for example in found}
    Annotation.objects.filter(example__in=examples).delete()
    Decision.objects.filter(example__in=examples).delete()
    # See example_delete.
    DatasetExample.objects.filter(pk__in=examples)._raw_delete("default")
    images_remove_unused(
        [image for each in examples.values() if (image := each.content.get("image"))]
    )
    for dataset in {each.dataset for each in examples.values()}:
        touch(dataset)
    return len(examples)


def uncertainties_set(*, dataset: Dataset, scores: Mapping[uuid.UUID | str, float]) -> int:
    """Store how unsure a model is about examples (higher is asked first); returns how many were there.

    Raises:
        ModelhubError: a score is not a finite number.
    """
    for example_id, score in scores.items():
        if not float("-inf") < score < float("inf"):
            raise ModelhubError(
                "invalid",
                _("A score is a finite number."),
                errors=[{"pointer": f"/scores/{example_id}", "detail": str(score)}],
            )
    by_id = {uuid.UUID(str(example_id)): float(score) for example_id, score in scores.items()}
    changed = 0
    with transaction.atomic():
        ids = list(by_id)
        for start in range(0, len(ids), _INSERT_ROWS):
            rows = list(
                DatasetExample.objects.filter(
                    dataset=dataset, pk__in=ids[start : start + _INSERT_ROWS]
                ).only("pk")
            )
            for row in rows:
                row.uncertainty = by_id[row.pk]
            changed += DatasetExample.objects.bulk_update(rows, ["uncertainty"])
    return changed


def touch(dataset: Dataset) -> None:
    """The data set has changed."""
    Dataset.objects.filter(pk=dataset.pk).update(updated_at=timezone.now())


def answer_of(task: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a row that is its answer, {} for none: what label history and annotations hold."""
    if task == Task.TEXT_GENERATION and "messages" in content:
        return {"messages": content["messages"]}
    answer = task_fields(task).answer
    return {answer: content[answer]} if answer and answer in content else {}


def answer_text(task: str, answer: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """An answer in a few words, "" for none."""
    if task == Task.SPAN_CLASSIFICATION and "labels" in answer and "spans" in content:
        text, spans = content["text"], content["spans"]
        named = zip(spans, answer["labels"], strict=False)
        return " · ".join(f"{text[start:end]} ({label})" for (start, end), label in named)[:200]
    if "labels" in answer:
        return " | ".join(answer["labels"]) or "∅"
    if "tags" in answer:
        tokens = content.get("tokens", [])
        return (
            " · ".join(f"{text} ({kind})" for kind, text in entities(tokens, answer["tags"])) or "∅"
        )
    if "messages" in answer:
        last = answer["messages"][-1]
        return last["content"][:200] if last["role"] == "assistant" else ""
    return str(next(iter(answer.values()), ""))[:200]


def entities(tokens: Sequence[str], tags: Sequence[str]) -> list[tuple[str, str]]:
    """(kind, text) of each entity in BIO tags."""
    found: list[tuple[str, list[str]]] = []
    for token, tag in zip(tokens, tags, strict=False):
        if tag.startswith("B-"):
            found.append((tag[2:], [token]))
        elif tag.startswith("I-") and found:
            found[-1][1].append(token)
    return [(kind, row_text(Task.TOKEN_CLASSIFICATION, {"tokens": parts})) for kind, parts in found]


def _note_conflict(
    result: AddResult, task: str, row: DatasetExample, *, kept: Mapping[str, Any]
) -> None:
    given = answer_of(task, row.content)
    before = answer_of(task, kept)
    if given and given != before and len(result.conflicts) < MAX_CONFLICTS:
        result.conflicts.append(
            {
                "text": row.text[:200],
                "kept": answer_text(task, before, kept),
                "given": answer_text(task, given, row.content),
            }
        )
