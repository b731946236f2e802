"""Annotation queues: who is asked what, what they said, and what becomes of it."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, QuerySet, TextField, Value
from django.db.models.functions import MD5, Cast, Concat
from django.utils import timezone
from django.utils.translation import gettext as _

from rootstock.common.actors import Actor
from rootstock.modelhub.agreement import (
    Distance,
    cohen_kappa,
    fleiss_kappa,
    interval,
    krippendorff_alpha,
    masi,
    nominal,
    raw_agreement,
)
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import (
    Annotation,
    AnnotationQueue,
    Dataset,
    DatasetExample,
    Decision,
    LabelChange,
    Task,
)
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.examples import answer_of, uncertainties_set
from rootstock.modelhub.services.labels import answer_put, example_answer

MAX_OVERLAP = 20
MAX_CHOICES = 500
# Tasks whose rows ask for nothing.
UNASKABLE = frozenset({Task.NEXT_ITEM, Task.MASKED_LANGUAGE_MODEL})


@dataclass(frozen=True)
class Progress:
    """How far a queue is: examples in it, finished ones, those that people disagree on, and one person's share."""

    total: int
    done: int
    disagreed: int
    mine: int

    @property
    def left(self) -> int:
        """Examples that still need somebody."""
        return max(0, self.total - self.done - self.disagreed)


@dataclass(frozen=True)
class Agreement:
    """How far the people of a queue agree; figures are None where there is nothing to compare.

    `cohen` holds for exactly two people, `fleiss` where all examples were seen by equally many, `alpha` always.
    """

    people: int
    examples: int
    raw: float | None
    cohen: float | None
    fleiss: float | None
    alpha: float | None
    by_person: list[dict[str, Any]] = field(default_factory=list)


def set_uncertainties(dataset: Dataset, scores: Mapping[uuid.UUID | str, float]) -> int:
    """What active learning calls: how unsure a model is about examples, by id. See `uncertainties_set`."""
    return uncertainties_set(dataset=dataset, scores=scores)


def queue_create(
    *,
    dataset: Dataset,
    actor: Actor,
    name: str,
    instructions: str = "",
    overlap: int = 1,
    order: str = AnnotationQueue.Order.OLDEST,
    choices: Sequence[str] = (),
    deployment: str = "",
    include_labelled: bool = False,
) -> AnnotationQueue:
    """Ask people about the examples of a data set.

    Raises:
        Conflict: the data set has a queue of this name.
        ModelhubError: the task has nothing to label, or a value is out of range.
    """
    if dataset.task in UNASKABLE:
        raise ModelhubError(
            "nothing-to-label", _("Rows of this task have no answer that a person could give.")
        )
    values = _checked(name, overlap, order, choices)
    try:
        with transaction.atomic():
            queue = AnnotationQueue.objects.create(
                dataset=dataset,
                instructions=instructions.strip()[:10_000],
                deployment=deployment.strip(),
                include_labelled=include_labelled,
                **values,
                **authored(actor),
            )
    except IntegrityError as error:
        raise Conflict(
            "name-taken", _("There is already a queue named “%(name)s”.") % {"name": values["name"]}
        ) from error
    record(
        actor=actor,
        action="models.queue.create",
        target=queue.name,
        target_id=queue.pk,
        changes={"dataset": str(dataset.pk), "overlap": overlap, "order": order},
        event={"dataset": str(dataset.pk), "name": queue.name},
    )
    return queue


def queue_close(*, queue: AnnotationQueue, actor: Actor, closed: bool = True) -> AnnotationQueue:
    """Ask nobody any more, or go on asking; what was said stays."""
    if (queue.closed_at is not None) == closed:
        return queue
    queue.closed_at = timezone.now() if closed else None
    queue.save(update_fields=["closed_at", "updated_at"])
    record(
        actor=actor,
        action="models.queue.close" if closed else "models.queue.open",
        target=queue.name,
        target_id=queue.pk,
        event={"dataset": str(queue.dataset_id)},
    )
    return queue


def queue_examples(queue: AnnotationQueue) -> QuerySet[DatasetExample]:
    """The examples that the queue is about: without an answer, or that got theirs in it; or all."""
    examples = DatasetExample.objects.filter(dataset_id=queue.dataset_id)
    if not queue.include_labelled:
        examples = examples.filter(
            Q(labelled=False)
            | Q(pk__in=Annotation.objects.filter(queue=queue).values("example_id"))
        )
    return examples


def example_next(*, queue: AnnotationQueue, actor: Actor) -> DatasetExample | None:
    """The next example for this person: not yet seen by them nor by as many as are asked; None when there is none."""
    if queue.closed_at is not None:
        return None
    said = Annotation.objects.filter(queue=queue)
    mine = said.filter(actor_kind=actor.kind, actor_id=actor.id[:64])
    full = (
        said.filter(skipped=False)
        .order_by()
        .values("example_id")
        .annotate(people=Count("id"))
        .filter(people__gte=queue.overlap)
        .values("example_id")
    )
    open_examples = (
        queue_examples(queue)
        .exclude(pk__in=mine.values("example_id"))
        .exclude(pk__in=full)
        .exclude(pk__in=Decision.objects.filter(queue=queue).values("example_id"))
    )
    if queue.order == AnnotationQueue.Order.UNCERTAINTY:
        ordered = open_examples.order_by(F("uncertainty").desc(nulls_last=True), "id")
    elif queue.order == AnnotationQueue.Order.RANDOM:
        # An order that is random and yet the same at every look, so that undo leads back to the same example.
        salt = Concat(Cast("pk", TextField()), Value(str(queue.pk)), output_field=TextField())
        ordered = open_examples.order_by(MD5(salt))
    else:
        ordered = open_examples.order_by("id")
    return ordered.select_related("dataset").first()


def annotation_submit(
    *,
    queue: AnnotationQueue,
    example: DatasetExample,
    actor: Actor,
    answer: Mapping[str, Any],
    seconds: float | None = None,
    suggestion: Mapping[str, Any] | None = None,
) -> Annotation:
    """Write down what a person says about an example; said again, it replaces what they said.

    When as many as are asked have said the same, it becomes the example's answer, with its history.

    Raises:
        Conflict: the queue is closed.
        ModelhubError: it is no answer of the task, or not one of the queue's choices.
    """
    checked = _answer(queue, example, answer)
    if suggestion is not None:
        # It comes back from the page: only an answer that could have been suggested is kept.
        suggestion = {**suggestion, "answer": _answer(queue, example, suggestion["answer"])}
    return _say(
        queue,
        example,
        actor,
        content=checked,
        skipped=False,
        seconds=seconds,
        suggestion=suggestion,
    )


def annotation_skip(
    *,
    queue: AnnotationQueue,
    example: DatasetExample,
    actor: Actor,
    seconds: float | None = None,
) -> Annotation:
    """This person says nothing about the example and is not asked again; others are.

    Raises:
        Conflict: the queue is closed.
    """
    return _say(queue, example, actor, content={}, skipped=True, seconds=seconds, suggestion=None)


def annotation_undo(*, queue: AnnotationQueue, actor: Actor) -> DatasetExample | None:
    """Take back the last thing that this person said in the queue; returns the example, None when they said nothing.

    If it had become the example's answer, and nobody has changed that since, the answer before comes back.
    """
    last = (
        Annotation.objects.select_for_update(of=("self",))
        .select_related("example__dataset")
        .filter(queue=queue, actor_kind=actor.kind, actor_id=actor.id[:64])
        .order_by("-updated_at", "-id")
        .first()
    )
    if last is None:
        return None
    example = last.example
    decision = Decision.objects.filter(queue=queue, example=example, agreed=True).first()
    if decision is not None and not last.skipped:
        _take_back(decision, example, actor)
    last.delete()
    return example


def decide(
    *, queue: AnnotationQueue, example: DatasetExample, actor: Actor, answer: Mapping[str, Any]
) -> Decision:
    """Settle an example that people disagree on; the answer gets into the data set, with its history.

    Raises:
        ModelhubError: it is no answer of the task, or not one of the queue's choices.
    """
    checked = _answer(queue, example, answer)
    return _decide(queue, example, actor, checked, agreed=False)


def disagreements(queue: AnnotationQueue) -> list[tuple[DatasetExample, list[Annotation]]]:
    """Examples that as many as are asked have seen and on which they differ, undecided; the oldest first."""
    open_examples = (
        DatasetExample.objects.filter(annotations__queue=queue, annotations__skipped=False)
        .annotate(people=Count("annotations"))
        .filter(people__gte=queue.overlap)
        .exclude(pk__in=Decision.objects.filter(queue=queue).values("example_id"))
        .select_related("dataset")
        .order_by("id")
    )
    examples = list(open_examples[:200])
    said: dict[uuid.UUID, list[Annotation]] = defaultdict(list)
    for annotation in Annotation.objects.filter(
        queue=queue, skipped=False, example__in=examples
    ).order_by("id"):
        said[annotation.example_id].append(annotation)
    return [(example, said[example.pk]) for example in examples]


def progress(queue: AnnotationQueue, actor: Actor) -> Progress:
    """How far the queue is."""
    said = Annotation.objects.filter(queue=queue)
    mine = said.filter(actor_kind=actor.kind, actor_id=actor.id[:64], skipped=False).count()
    done = Decision.objects.filter(queue=queue).count()
    disagreed = (
        said.filter(skipped=False)
        .exclude(example__in=Decision.objects.filter(queue=queue).values("example_id"))
        .order_by()
        .values("example_id")
        .annotate(people=Count("id"))
        .filter(people__gte=queue.overlap)
        .count()
    )
    return Progress(queue_examples(queue).count(), done, disagreed, mine)


def agreement(queue: AnnotationQueue) -> Agreement:
    """How far people agree, over the examples that two or more have seen."""
    rows = (
        Annotation.objects.filter(queue=queue, skipped=False)
        .order_by("example_id", "id")
        .values_list("example_id", "actor_kind", "actor_id", "actor_label", "content", "seconds")
    )
    said: dict[uuid.UUID, dict[tuple[str, str], Any]] = defaultdict(dict)
    people: dict[tuple[str, str], dict[str, Any]] = {}
    for example_id, kind, actor_id, label, content, seconds in rows:
        person = (kind, actor_id)
        said[example_id][person] = content
        about = people.setdefault(person, {"person": label, "annotations": 0, "seconds": []})
        about["annotations"] += 1
        if seconds is not None:
            about["seconds"].append(seconds)
    shared = [values for values in said.values() if len(values) >= 2]
    task = queue.dataset.task
    units = [unit for values in shared for unit in _units(task, list(values.values()))]
    cohen = None
    if len(people) == 2:
        first, second = people
        pairs = [
            unit for values in shared for unit in _units(task, [values[first], values[second]])
        ]
        cohen = cohen_kappa([unit[0] for unit in pairs], [unit[1] for unit in pairs])
    equal = len({len(unit) for unit in units}) == 1
    return Agreement(
        people=len(people),
        examples=len(shared),
        raw=raw_agreement(units),
        cohen=cohen,
        fleiss=fleiss_kappa(units) if equal else None,
        alpha=krippendorff_alpha(units, distance=_distance(task)),
        by_person=[
            {
                "person": about["person"],
                "annotations": about["annotations"],
                "median_seconds": _median(about["seconds"]),
            }
            for about in people.values()
        ],
    )


def _units(task: str, answers: list[dict[str, Any]]) -> list[list[Any]]:
    """What is compared: one value an example, of token tags one a token, of spans one a span."""
    if task == Task.TOKEN_CLASSIFICATION:
        return [list(unit) for unit in zip(*(answer["tags"] for answer in answers), strict=False)]
    if task == Task.SPAN_CLASSIFICATION:
        return [list(unit) for unit in zip(*(answer["labels"] for answer in answers), strict=False)]
    if task == Task.MULTI_LABEL_CLASSIFICATION:
        return [[frozenset(answer["labels"]) for answer in answers]]
    if task == Task.TEXT_GENERATION:
        return [[str(answer) for answer in answers]]
    return [[next(iter(answer.values())) for answer in answers]]


def _distance(task: str) -> Distance:
    if task == Task.MULTI_LABEL_CLASSIFICATION:
        return masi
    return interval if task == Task.TEXT_EMBEDDING else nominal


def _median(values: list[float]) -> float | None:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None


def _answer(
    queue: AnnotationQueue, example: DatasetExample, answer: Mapping[str, Any]
) -> dict[str, Any]:
    content = answer_put(queue.dataset.task, example.content, answer)
    checked = answer_of(queue.dataset.task, content)
    if not checked:
        problem = _("Say something, or skip the example.")
        raise ModelhubError("invalid", problem, errors=[{"pointer": "/answer", "detail": problem}])
    allowed = set(queue.choices)
    given = _chosen(checked)
    if allowed and not given <= allowed:
        problem = _("“%(label)s” is not one of the queue's choices.") % {
            "label": ", ".join(sorted(given - allowed))[:120]
        }
        raise ModelhubError("invalid", problem, errors=[{"pointer": "/answer", "detail": problem}])
    return checked


def _chosen(answer: Mapping[str, Any]) -> set[str]:
    if "labels" in answer:
        return set(answer["labels"])
    if "tags" in answer:
        return {tag[2:] for tag in answer["tags"] if tag != "O"}
    return {answer["label"]} if isinstance(answer.get("label"), str) else set()


def _say(
    queue: AnnotationQueue, example: DatasetExample, actor: Actor, **values: Any
) -> Annotation:
    if queue.closed_at is not None:
        raise Conflict("queue-closed", _("This queue is closed."))
    # One writer an example: two last answers at once must see each other.
    DatasetExample.objects.select_for_update().get(pk=example.pk)
    seconds = values["seconds"]
    values["seconds"] = None if seconds is None else min(max(0.0, float(seconds)), 86_400.0)
    said, _new = Annotation.objects.update_or_create(
        queue=queue,
        example=example,
        actor_kind=actor.kind,
        actor_id=actor.id[:64],
        defaults={"actor_label": actor.label[:200], **values},
    )
    decision = Decision.objects.filter(queue=queue, example=example).first()
    if decision is not None and decision.agreed:
        # Somebody thinks again: what was agreed is looked at anew.
        _take_back(decision, example, actor)
        decision = None
    if decision is None:
        _settle(queue, example, actor)
    return said


def _settle(queue: AnnotationQueue, example: DatasetExample, actor: Actor) -> None:
    answers = list(
        Annotation.objects.filter(queue=queue, example=example, skipped=False).values_list(
            "content", flat=True
        )
    )
    if len(answers) >= queue.overlap and all(answer == answers[0] for answer in answers):
        _decide(queue, example, actor, answers[0], agreed=True)


def _decide(
    queue: AnnotationQueue,
    example: DatasetExample,
    actor: Actor,
    answer: dict[str, Any],
    *,
    agreed: bool,
) -> Decision:
    fresh = DatasetExample.objects.select_related("dataset").get(pk=example.pk)
    before = answer_of(fresh.dataset.task, fresh.content)
    decision, _new = Decision.objects.update_or_create(
        queue=queue,
        example=example,
        defaults={"content": answer, "agreed": agreed, "before": before, **authored(actor)},
    )
    reasons = LabelChange.Reason
    example_answer(
        example=fresh,
        answer=answer,
        actor=actor,
        reason=reasons.ANNOTATION if agreed else reasons.ADJUDICATION,
    )
    return decision


def _take_back(decision: Decision, example: DatasetExample, actor: Actor) -> None:
    fresh = DatasetExample.objects.select_related("dataset").get(pk=example.pk)
    if answer_of(fresh.dataset.task, fresh.content) == decision.content:
        example_answer(
            example=fresh, answer=decision.before, actor=actor, reason=LabelChange.Reason.UNDO
        )
    decision.delete()


def _checked(name: str, overlap: int, order: str, choices: Sequence[str]) -> dict[str, Any]:
    name = " ".join(name.split())
    choices = list(dict.fromkeys(choice.strip() for choice in choices if choice.strip()))
    problems = [
        ("name", _("Give it a name."), not name),
        ("name", _("longer than %(longest)s characters") % {"longest": 120}, len(name) > 120),
        (
            "overlap",
            _("from 1 to %(most)d") % {"most": MAX_OVERLAP},
            not 1 <= overlap <= MAX_OVERLAP,
        ),
        ("order", _("not an order"), order not in AnnotationQueue.Order.values),
        ("choices", _("at most %(most)d") % {"most": MAX_CHOICES}, len(choices) > MAX_CHOICES),
        (
            "choices",
            _("longer than %(longest)s characters") % {"longest": 120},
            any(len(choice) > 120 for choice in choices),
        ),
    ]
    errors = [
        {"pointer": f"/{place}", "detail": problem} for place, problem, wrong in problems if wrong
    ]
    if errors:
        raise ModelhubError("invalid", errors[0]["detail"], errors=errors)
    return {"name": name, "overlap": overlap, "order": order, "choices": choices}
