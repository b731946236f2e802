"""Annotation: who is asked what, what becomes of it, and how far people agree."""

from __future__ import annotations

import pytest
from modelhub_helpers import ACTOR

from rootstock.common.actors import Actor
from rootstock.modelhub import services
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import AnnotationQueue, Dataset, LabelChange
from rootstock.modelhub.services import annotation
from rootstock.tenancy.models import Organisation

BOB = Actor("user", "02", "Bob")


def texts(count: int = 3) -> Dataset:
    dataset = services.dataset_create(name="headlines", actor=ACTOR)
    rows = [services.NewExample(f"headline number {n}") for n in range(count)]
    services.examples_add(dataset=dataset, examples=rows, actor=ACTOR)
    return dataset


def say(queue: AnnotationQueue, who: Actor, *labels: str) -> None:
    for label in labels:
        example = annotation.example_next(queue=queue, actor=who)
        assert example is not None
        annotation.annotation_submit(
            queue=queue, example=example, actor=who, answer={"label": label}, seconds=2.0
        )


def test_one_person_labels_a_data_set_and_takes_it_back(scope: Organisation) -> None:
    dataset = texts()
    queue = annotation.queue_create(dataset=dataset, actor=ACTOR, name="Labels", choices=["a", "b"])
    first = annotation.example_next(queue=queue, actor=ACTOR)
    assert first is not None
    say(queue, ACTOR, "a")
    first.refresh_from_db()
    assert (first.label, first.labelled) == ("a", True)
    with pytest.raises(ModelhubError, match="not one of the queue's choices"):
        say(queue, ACTOR, "c")
    again = annotation.annotation_undo(queue=queue, actor=ACTOR)
    assert again is not None and again.pk == first.pk
    first.refresh_from_db()
    assert (first.label, first.labelled) == ("", False)
    assert annotation.example_next(queue=queue, actor=ACTOR) == first
    annotation.annotation_skip(queue=queue, example=first, actor=ACTOR)
    say(queue, ACTOR, "a", "b")
    assert annotation.example_next(queue=queue, actor=ACTOR) is None
    assert annotation.example_next(queue=queue, actor=BOB) == first
    reasons = LabelChange.objects.order_by("id").values_list("reason", flat=True)
    assert list(reasons) == ["annotation", "undo", "annotation", "annotation"]
    progress = annotation.progress(queue, ACTOR)
    assert (progress.total, progress.done, progress.left, progress.mine) == (3, 2, 1, 2)


def test_two_people_agree_or_somebody_decides(scope: Organisation) -> None:
    dataset = texts(4)
    queue = annotation.queue_create(dataset=dataset, actor=ACTOR, name="Twice", overlap=2)
    say(queue, ACTOR, "a", "a", "b", "b")
    assert not dataset.examples.filter(labelled=True).exists()
    say(queue, BOB, "a", "b", "b", "b")
    assert dataset.examples.filter(labelled=True).count() == 3
    ((example, said),) = annotation.disagreements(queue)
    assert [row.content["label"] for row in said] == ["a", "b"]
    report = annotation.agreement(queue)
    assert (report.people, report.examples, report.raw) == (2, 4, 0.75)
    assert report.cohen == pytest.approx(0.5)
    assert report.by_person[0] == {"person": "Ada", "annotations": 4, "median_seconds": 2.0}
    annotation.decide(queue=queue, example=example, actor=ACTOR, answer={"label": "b"})
    assert annotation.disagreements(queue) == []
    example.refresh_from_db()
    assert example.label == "b"
    last = example.label_changes.order_by("-id").first()
    assert last is not None and (last.reason, last.after) == ("adjudication", {"label": "b"})


def test_the_most_uncertain_comes_first_and_a_closed_queue_asks_nobody(scope: Organisation) -> None:
    dataset = texts()
    ids = list(dataset.examples.order_by("id").values_list("pk", flat=True))
    assert annotation.set_uncertainties(dataset, {ids[0]: 0.1, str(ids[2]): 0.9}) == 2
    queue = annotation.queue_create(
        dataset=dataset, actor=ACTOR, name="Unsure", order="uncertainty"
    )
    example = annotation.example_next(queue=queue, actor=ACTOR)
    assert example is not None and example.pk == ids[2]
    annotation.queue_close(queue=queue, actor=ACTOR)
    assert annotation.example_next(queue=queue, actor=ACTOR) is None
    with pytest.raises(Conflict, match="closed"):
        annotation.annotation_skip(queue=queue, example=example, actor=ACTOR)


def test_tags_are_compared_token_by_token(scope: Organisation) -> None:
    dataset = services.dataset_create(name="ner", task="token-classification", actor=ACTOR)
    rows = [services.NewExample(content={"tokens": ["Acme", "rises"]})]
    services.examples_add(dataset=dataset, examples=rows, actor=ACTOR)
    queue = annotation.queue_create(dataset=dataset, actor=ACTOR, name="Entities", overlap=2)
    example = dataset.examples.get()
    for who, tags in ((ACTOR, ["B-ORG", "O"]), (BOB, ["B-PER", "O"])):
        annotation.annotation_submit(queue=queue, example=example, actor=who, answer={"tags": tags})
    assert annotation.agreement(queue).raw == 0.5
    assert len(annotation.disagreements(queue)) == 1


def test_rows_without_an_answer_cannot_be_asked_about(scope: Organisation) -> None:
    dataset = services.dataset_create(name="lm", task="masked-language-model", actor=ACTOR)
    with pytest.raises(ModelhubError, match="no answer"):
        annotation.queue_create(dataset=dataset, actor=ACTOR, name="x")
