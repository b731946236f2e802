"""Answers of examples and their history: change, take back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from ml_core.data import RowError, parse_row, task_fields
from rootstock.common.actors import Actor
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import DatasetExample, LabelChange, Task
from rootstock.modelhub.row_problems import in_words
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.examples import (
    answer_of,
    answer_text,
    check_limits,
    describe,
    touch,
)
from rootstock.modelhub.services.outcomes import outcome_of_example


def example_relabel(*, example: DatasetExample, label: str, actor: Actor) -> DatasetExample:
    """Give an example another label (of several: parted by "|"); the old one stays in its history.

    Raises:
        ModelhubError: the label is too long or not text, or the task's answer is no label.
    """
    task = example.dataset.task
    names = {
        Task.MULTI_LABEL_CLASSIFICATION: "labels",
        Task.TEXT_EMBEDDING: "score",
        Task.TEXT_GENERATION: "response",
    }
    name = names.get(Task(task), "label")
    if task_fields(task).answer != name:
        problem = _("Rows of this task have no label; change their content.")
        raise ModelhubError("invalid", problem, errors=[{"pointer": "/label", "detail": problem}])
    answer = {name: label} if label.strip() else {}
    return example_answer(example=example, answer=answer, actor=actor, pointer="/label")


def example_answer(
    *,
    example: DatasetExample,
    answer: Mapping[str, Any],
    actor: Actor,
    reason: str = LabelChange.Reason.EDIT,
    pointer: str = "/answer",
) -> DatasetExample:
    """Give an example another answer ({} takes it away); what was there stays in its history.

    `answer` has the answer's key of the task: label, labels, tags, score, response or messages.

    Raises:
        ModelhubError: it is no answer of the task.
        Conflict: with this answer it would be the same row as another one.
    """
    locked = (
        DatasetExample.objects.select_related("dataset")
        .select_for_update(of=("self",))
        .get(pk=example.pk)
    )
    task = locked.dataset.task
    before = answer_of(task, locked.content)
    content = answer_put(task, locked.content, answer, pointer=pointer)
    after = answer_of(task, content)
    if before == after:
        return locked
    from_label = locked.label
    locked.content = content
    describe(locked, task)
    locked.uncertainty = None  # a person has spoken
    try:
        with transaction.atomic():
            locked.save()
    except IntegrityError as error:
        raise Conflict(
            "example-there-already", _("There is an example with this content already.")
        ) from error
    LabelChange.objects.create(
        example=locked,
        from_label=from_label,
        to_label=locked.label,
        before=before,
        after=after,
        reason=reason,
        **authored(actor),
    )
    outcome_of_example(example=locked)
    touch(locked.dataset)
    words = [answer_text(task, answer, content) for answer in (before, after)]
    record(
        actor=actor,
        action="models.example.relabel",
        target=locked.text[:80],
        target_id=locked.pk,
        changes={"label": words, "dataset": str(locked.dataset_id), "reason": str(reason)},
        event={"dataset": str(locked.dataset_id), "label": words[1]},
    )
    return locked


def answer_put(
    task: str, content: Mapping[str, Any], answer: Mapping[str, Any], *, pointer: str = "/answer"
) -> dict[str, Any]:
    """The content with another answer, checked.

    Raises:
        ModelhubError: it is no answer of the task.
    """
    key = task_fields(task).answer
    allowed = {key} - {""}
    if task == Task.TEXT_GENERATION and "messages" in content:
        allowed = {"messages"}
    unknown = sorted(set(answer) - allowed)
    if unknown:
        problem = _("An answer of this task has %(allowed)s, not %(unknown)s.") % {
            "allowed": ", ".join(sorted(allowed)) or "—",
            "unknown": ", ".join(unknown)[:120],
        }
        raise ModelhubError("invalid", problem, errors=[{"pointer": pointer, "detail": problem}])
    kept = {name: value for name, value in content.items() if name != key}
    try:
        row = parse_row(task, {**kept, **answer}, require_answer=False)
        check_limits(row.content)
    except RowError as error:
        problem = in_words(error)
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": pointer, "detail": problem}]
        ) from error
    return row.content


def label_undo(*, example: DatasetExample, actor: Actor) -> DatasetExample:
    """Take the last change of an example's answer back; the taking back is a change of the history too.

    Taking back twice restores what was taken back.

    Raises:
        Conflict: nothing has been changed, or the answer is not the one that the last change made.
    """
    last = example.label_changes.order_by("-created_at", "-id").first()
    if last is None:
        raise Conflict("nothing-to-undo", _("The answer has never been changed."))
    fresh = DatasetExample.objects.select_related("dataset").get(pk=example.pk)
    if answer_of(fresh.dataset.task, fresh.content) != last.after:
        raise Conflict("changed", _("It has been changed since. Reload the page."))
    return example_answer(
        example=example, answer=last.before, actor=actor, reason=LabelChange.Reason.UNDO
    )
