"""Data sets, examples, history and snapshots, on a real database under row-level security."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import ProgrammingError, transaction
from modelhub_helpers import ACTOR, make_dataset, make_snapshot

from rootstock.audit.models import AuditEntry
from rootstock.modelhub import selectors, services
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import Dataset, DatasetExample, LabelChange, Snapshot
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

NewExample = services.NewExample


def test_the_same_text_twice_is_harmless(scope: Organisation) -> None:
    dataset = make_dataset(count=30)
    again = services.examples_add(
        dataset=dataset,
        examples=[
            NewExample("the bank gains", "positive"),
            NewExample("the bank gains", "negative"),
        ],
        actor=ACTOR,
    )
    assert (again.added, again.duplicates) == (1, 1)
    assert again.conflicts == [{"text": "the bank gains", "kept": "positive", "given": "negative"}]
    third = services.examples_add(
        dataset=dataset, examples=[NewExample("the bank gains", "neutral")], actor=ACTOR
    )
    assert (third.added, third.duplicates) == (0, 1)
    assert third.conflicts[0]["kept"] == "positive"


def test_a_bad_example_is_named_and_none_is_added(scope: Organisation) -> None:
    dataset = make_dataset(count=3)
    with pytest.raises(ModelhubError) as caught:
        services.examples_add(
            dataset=dataset,
            examples=[
                NewExample("fine", "a"),
                NewExample("  ", "a"),
                NewExample("x", "a" * 121),
            ],
            actor=ACTOR,
        )
    assert [error["pointer"] for error in caught.value.errors] == [
        "/examples/1/text",
        "/examples/2/label",
    ]
    assert dataset.examples.count() == 3


def test_names_are_taken_once_per_organisation(
    organisation: Organisation, organisation_b: Organisation
) -> None:
    for each in (organisation, organisation_b):
        with organisation_scope(each.pk):
            services.dataset_create(name="  Head \n lines ", actor=ACTOR)
            with pytest.raises(Conflict, match="Head lines"):
                services.dataset_create(name="Head lines", actor=ACTOR)
            assert Dataset.objects.count() == 1
    assert Dataset.objects.count() == 0


def test_relabelling_keeps_history_that_nobody_can_change(scope: Organisation) -> None:
    dataset = make_dataset(count=3)
    example = dataset.examples.order_by("id")[0]
    services.example_relabel(example=example, label="neutral", actor=ACTOR)
    services.example_relabel(example=example, label=" neutral ", actor=ACTOR)
    services.example_relabel(example=example, label="positive", actor=ACTOR)
    history = list(
        LabelChange.objects.order_by("id").values_list("from_label", "to_label", "actor_label")
    )
    assert history == [("negative", "neutral", "Ada"), ("neutral", "positive", "Ada")]
    for statement in (
        "UPDATE modelhub_labelchange SET to_label = 'x'",
        "DELETE FROM modelhub_labelchange",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            LabelChange.objects.raw(statement)._fetch_all()
    entry = AuditEntry.objects.filter(action="models.example.relabel").latest("id")
    assert entry.changes["label"] == ["neutral", "positive"]


def test_deleting_an_example_takes_its_history_along(scope: Organisation) -> None:
    dataset = make_dataset(count=3)
    example = dataset.examples.order_by("id")[0]
    services.example_relabel(example=example, label="neutral", actor=ACTOR)
    services.example_delete(example=example, actor=ACTOR)
    assert not DatasetExample.objects.filter(pk=example.pk).exists()
    assert LabelChange.objects.count() == 0


def test_a_snapshot_is_frozen_hashed_and_without_leaks(
    scope: Organisation, artifacts: Path
) -> None:
    dataset = make_dataset(count=60)
    services.examples_add(
        dataset=dataset,
        examples=[
            NewExample("Bank gains, today!", "positive"),
            NewExample("bank GAINS today", "positive"),
            NewExample("bank gains  today.", "neutral"),
            NewExample("not yet read"),
        ],
        actor=ACTOR,
    )
    snapshot = services.snapshot_create(dataset=dataset, actor=ACTOR)
    assert snapshot.example_count == 63
    assert sum(sum(part.values()) for part in snapshot.label_counts.values()) == 63
    places: dict[str, set[str]] = {}
    for part in ("train", "validation", "test"):
        rows = [
            json.loads(line)
            for line in (artifacts / snapshot.path / f"{part}.jsonl").read_text().splitlines()
        ]
        assert len(rows) == sum(snapshot.label_counts[part].values()) > 0
        assert set(snapshot.label_counts[part]) == {"negative", "neutral", "positive"}
        for row in rows:
            key = "".join(c for c in row["text"].lower() if c.isalnum())
            places.setdefault(key, set()).add(part)
    assert all(len(parts) == 1 for parts in places.values())
    assert snapshot.path == f"{scope.pk}/snapshots/{snapshot.content_hash}"

    assert services.snapshot_create(dataset=dataset, actor=ACTOR).pk == snapshot.pk
    services.example_relabel(
        example=dataset.examples.filter(label="neutral")[0], label="positive", actor=ACTOR
    )
    changed = services.snapshot_create(dataset=dataset, actor=ACTOR)
    assert changed.content_hash != snapshot.content_hash
    assert changed.number == 2


def test_growing_a_data_set_moves_almost_nothing_between_parts(
    scope: Organisation, artifacts: Path
) -> None:
    from modelhub_helpers import make_examples

    dataset = make_dataset(count=300)

    def parts(snapshot: Snapshot) -> dict[str, str]:
        return {
            json.loads(line)["text"]: part
            for part in ("train", "validation", "test")
            for line in (artifacts / snapshot.path / f"{part}.jsonl").read_text().splitlines()
        }

    before = parts(services.snapshot_create(dataset=dataset, actor=ACTOR))
    services.examples_add(dataset=dataset, examples=make_examples(150, seed=5), actor=ACTOR)
    after = parts(services.snapshot_create(dataset=dataset, actor=ACTOR))
    moved = sum(after[text] != part for text, part in before.items())
    assert moved <= 0.1 * len(before)


@pytest.mark.parametrize(
    ("examples", "code"),
    [
        ([], "no-labelled-examples"),
        ([NewExample("a b"), NewExample("c d")], "no-labelled-examples"),
        ([NewExample("a b", "x"), NewExample("c d", "x")], "one-label"),
        ([NewExample("a b", "x"), NewExample("c d", "y")], "too-few-examples"),
        # One text with two opinions about it cannot teach the second label.
        (
            [
                NewExample("a b", "x"),
                NewExample("a B", "y"),
                NewExample("c", "x"),
                NewExample("d", "x"),
            ],
            "too-few-examples",
        ),
    ],
)
def test_a_snapshot_nobody_can_train_on_is_refused(
    scope: Organisation, artifacts: Path, examples: list[NewExample], code: str
) -> None:
    dataset = services.dataset_create(name="small", actor=ACTOR)
    services.examples_add(dataset=dataset, examples=examples, actor=ACTOR)
    try:
        snapshot = services.snapshot_create(dataset=dataset, actor=ACTOR)
    except ModelhubError as error:
        assert error.code == code
    else:
        # The text of two opinions may fall into training whole, which is fine.
        assert set(snapshot.label_counts["train"]) == {"x", "y"}
        assert len(examples) == 4


def test_deleting_a_data_set(
    scope: Organisation, artifacts: Path, django_capture_on_commit_callbacks
) -> None:
    snapshot = make_snapshot(count=60)
    directory = artifacts / snapshot.path
    assert directory.is_dir()
    dataset = snapshot.dataset
    services.example_relabel(example=dataset.examples.all()[0], label="other", actor=ACTOR)
    with django_capture_on_commit_callbacks(execute=True):
        services.dataset_delete(dataset=dataset, actor=ACTOR)
    assert not directory.exists()
    assert (
        Dataset.objects.count() == DatasetExample.objects.count() == Snapshot.objects.count() == 0
    )


def test_a_data_set_that_a_run_was_made_from_is_kept(scope: Organisation, artifacts: Path) -> None:
    snapshot = make_snapshot(count=60)
    services.training_start(snapshot=snapshot, name="finance.sentiment", actor=ACTOR)
    with pytest.raises(Conflict, match="1 training run"):
        services.dataset_delete(dataset=snapshot.dataset, actor=ACTOR)
    assert (artifacts / snapshot.path).is_dir()


def test_another_organisation_sees_nothing(
    organisation: Organisation, organisation_b: Organisation, artifacts: Path
) -> None:
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
    with organisation_scope(organisation_b.pk):
        assert not selectors.dataset_list().exists()
        assert not selectors.snapshot_list().exists()
        assert not DatasetExample.objects.exists()
        with pytest.raises(Dataset.DoesNotExist):
            services.snapshot_create(dataset=snapshot.dataset, actor=ACTOR)
