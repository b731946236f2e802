"""Data sets of every task: in, changed, taken back, frozen, out."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from modelhub_helpers import ACTOR
from PIL import Image

from ml_core.data import read_rows
from rootstock.modelhub import services
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.importing import execute_import
from rootstock.modelhub.models import Dataset, DatasetExample, DatasetImport, LabelChange, Snapshot
from rootstock.modelhub.services.exports import dataset_export
from rootstock.modelhub.services.imports import (
    import_refused,
    import_run,
    import_stage,
    import_start,
)
from rootstock.modelhub.services.snapshots import snapshot_create
from rootstock.modelhub.services.sources import source_pull
from rootstock.modelhub.sources import RowSource, SourceRow
from rootstock.modelhub.storage import absolute_path
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.scope import organisation_scope

WORDS = [
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo",
    "lima", "mike",
]  # fmt: skip


def sentence(number: int) -> str:
    return " ".join(WORDS[(number * step + step) % 13] for step in (1, 2, 3, 5, 7)) + f" {number}"


ROWS: dict[str, list[dict[str, Any]]] = {
    "multi-label-classification": [
        {"text": sentence(n), "labels": [["a"], ["a", "b"], []][n % 3]} for n in range(30)
    ],
    "token-classification": [
        {"tokens": sentence(n).split(), "tags": ["B-X", "I-X", "O", "O", "B-Y", "O"]}
        for n in range(30)
    ],
    "text-embedding": [
        {"anchor": sentence(n), "positive": sentence(n + 100), "score": 0.5} for n in range(30)
    ],
    "reranking": [
        {"query": sentence(n // 2), "document": sentence(n + 50), "label": n % 2} for n in range(40)
    ],
    "text-generation": [{"prompt": sentence(n), "response": sentence(n + 9)} for n in range(30)],
    "next-item": [{"user": f"u{n}", "items": [f"i{n}", f"i{n + 1}"]} for n in range(30)],
    "masked-language-model": [{"text": sentence(n)} for n in range(30)],
}


def filled(task: str, tmp_path: Path) -> Dataset:
    dataset = services.dataset_create(name=task, task=task, actor=ACTOR)
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps(row | {"page": n // 3}) + "\n" for n, row in enumerate(ROWS[task]))
    )
    report = services.dataset_import(dataset=dataset, path=path, actor=ACTOR)
    assert (report.added, report.problem_count) == (len(ROWS[task]), 0)
    return dataset


@pytest.mark.parametrize("task", ROWS)
def test_rows_come_in_are_frozen_and_go_out(
    scope: Organisation, artifacts: Path, tmp_path: Path, task: str
) -> None:
    dataset = filled(task, tmp_path)
    out = tmp_path / "out.jsonl"
    assert dataset_export(dataset=dataset, path=out) == len(ROWS[task])
    assert [row.content for row in read_rows(out, task)] == ROWS[task]
    snapshot = snapshot_create(dataset=dataset, actor=ACTOR)
    parts = {
        split: [
            row.content for row in read_rows(absolute_path(snapshot.path) / f"{split}.jsonl", task)
        ]
        for split in ("train", "validation", "test")
    }
    assert {split: len(rows) for split, rows in parts.items()} == snapshot.split_counts
    assert sum(snapshot.split_counts.values()) == len(ROWS[task])
    if task == "reranking":
        queries = [{row["query"] for row in rows} for rows in parts.values()]
        assert not queries[0] & queries[1] and not queries[0] & queries[2]
        assert snapshot.groups_kept_together == 20
    assert snapshot_create(dataset=dataset, actor=ACTOR).pk == snapshot.pk
    by_page = snapshot_create(dataset=dataset, actor=ACTOR, group_by="page")
    assert by_page.duplicate_groups <= (len(ROWS[task]) + 2) // 3
    with pytest.raises(ModelhubError, match="No example has a column"):
        snapshot_create(dataset=dataset, actor=ACTOR, group_by="nothing")


@pytest.mark.parametrize(
    ("task", "answer", "bad"),
    [
        ("multi-label-classification", {"labels": ["b", "c"]}, {"label": "b"}),
        ("token-classification", {"tags": ["O"] * 6}, {"tags": ["O"]}),
        ("text-embedding", {"score": 0.25}, {"score": 7}),
        ("reranking", {"label": 1}, {"label": "maybe"}),
        ("text-generation", {"response": "Another one"}, {"response": "x\0y"}),
    ],
)
def test_answers_change_with_a_history_and_can_be_taken_back(
    scope: Organisation, tmp_path: Path, task: str, answer: dict[str, Any], bad: dict[str, Any]
) -> None:
    example = filled(task, tmp_path).examples.order_by("id").first()
    assert example is not None
    before = dict(example.content)
    changed = services.example_answer(example=example, answer=answer, actor=ACTOR)
    assert changed.content == before | answer
    with pytest.raises(ModelhubError):
        services.example_answer(example=example, answer=bad, actor=ACTOR)
    assert services.label_undo(example=changed, actor=ACTOR).content == before
    assert services.label_undo(example=changed, actor=ACTOR).content == before | answer
    reasons = list(LabelChange.objects.order_by("id").values_list("reason", flat=True))
    assert reasons == ["edit", "undo", "undo"]
    cleared = services.example_answer(example=changed, answer={}, actor=ACTOR)
    assert cleared.labelled is (task == "text-embedding")
    with pytest.raises(Conflict):
        services.label_undo(example=filled_other(), actor=ACTOR)


def filled_other() -> DatasetExample:
    dataset = services.dataset_create(name="other", actor=ACTOR)
    services.examples_add(dataset=dataset, examples=[services.NewExample("text")], actor=ACTOR)
    return dataset.examples.get()


def picture(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, "PNG")
    return stream.getvalue()


def test_images(scope: Organisation, artifacts: Path, tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(12):
            for label in ("cat", "dog"):
                archive.writestr(
                    f"{label}/{number}.png", picture(f"#{number:02x}{ord(label[0]):02x}00")
                )
        archive.writestr("dog/again.png", picture("#006400"))
        archive.writestr("dog/fake.png", b"<svg onload=alert(1)>")
    dataset = services.dataset_create(name="pets", task="image-classification", actor=ACTOR)
    report = services.dataset_import(dataset=dataset, path=path, actor=ACTOR)
    assert (report.added, report.duplicates, report.problem_count) == (24, 1, 1)
    assert report.problems[0].detail == "not a PNG, JPEG, GIF, WebP or BMP image"
    snapshot = snapshot_create(dataset=dataset, actor=ACTOR)
    (row, *_rest) = read_rows(absolute_path(snapshot.path) / "train.jsonl", "image-classification")
    assert (absolute_path(snapshot.path) / row.content["image"]).read_bytes().startswith(b"\x89PNG")
    assert dataset_export(dataset=dataset, path=tmp_path / "out.zip") == 24
    again = services.dataset_create(name="again", task="image-classification", actor=ACTOR)
    assert (
        services.dataset_import(dataset=again, path=tmp_path / "out.zip", actor=ACTOR).added == 24
    )


def test_item_texts(scope: Organisation, artifacts: Path, tmp_path: Path) -> None:
    dataset = filled("next-item", tmp_path)
    path = tmp_path / "items.csv"
    path.write_text("id,text\ni1,Shoes\ni2,\ni3,Hat\n")
    started = import_start(dataset=dataset, actor=ACTOR, file_name="items.csv", kind="items")
    import_run(started, path=path, actor=ACTOR)
    assert (started.added, started.refused) == (2, 1)
    snapshot: Snapshot = snapshot_create(dataset=dataset, actor=ACTOR)
    lines = (absolute_path(snapshot.path) / "items.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "i1", "text": "Shoes"},
        {"id": "i3", "text": "Hat"},
    ]


def test_a_broken_off_import_goes_on_and_the_refused_rows_are_kept(
    scope: Organisation, artifacts: Path, tmp_path: Path
) -> None:
    dataset = services.dataset_create(name="big", actor=ACTOR)
    path = tmp_path / "big.csv"
    rows = "".join(f"{sentence(n)} {n},{'x' if n % 2 else 'y'}\n" for n in range(3500))
    path.write_text("text,label\n ,x\n" + rows)
    started = import_start(dataset=dataset, actor=ACTOR, file_name="big.csv")

    class WorkerDies(Exception):
        pass

    def die(rows: int) -> None:
        if rows > 2000:
            raise WorkerDies

    with pytest.raises(WorkerDies):
        import_run(started, path=path, actor=ACTOR, on_progress=die)
    assert dataset.examples.count() == 2000
    fresh = DatasetImport.objects.get(pk=started.pk)
    import_run(fresh, path=path, actor=ACTOR)
    assert (fresh.added, fresh.duplicates, fresh.refused) == (3500, 0, 1)
    assert dataset.examples.count() == 3500
    assert list(import_refused(fresh)) == [
        (2, "text", "the text is empty", '{"text": " ", "label": "x"}')
    ]


def test_a_source_is_pulled_and_pulled_again_brings_only_what_is_new(scope: Organisation) -> None:
    stored = [sentence(n) for n in range(5)]

    def rows(task: str, cursor: str) -> Any:
        for place in range(int(cursor or 0), len(stored)):
            yield SourceRow({"text": stored[place]}, str(place + 1), {"outlet": "X"}, 0.1 * place)

    source = RowSource(
        "test.rows", "Rows", "", frozenset({"text-classification"}), Permission.MODELS_READ, rows
    )
    dataset = services.dataset_create(name="pulled", actor=ACTOR)
    assert source_pull(dataset=dataset, source=source, actor=ACTOR).added == 5
    assert source_pull(dataset=dataset, source=source, actor=ACTOR).added == 0
    stored.append(sentence(99))
    assert source_pull(dataset=dataset, source=source, actor=ACTOR).added == 1
    assert dataset.sources.get().added == 6
    other = services.dataset_create(name="other", task="reranking", actor=ACTOR)
    with pytest.raises(ModelhubError, match="no rows of this task"):
        source_pull(dataset=other, source=source, actor=ACTOR)


def test_a_worker_reads_a_staged_file_with_a_transaction_a_chunk(
    organisation: Organisation, artifacts: Path
) -> None:
    def scope() -> AbstractContextManager[Any]:
        return organisation_scope(organisation.pk)

    content = "text,label\n" + "".join(f"{sentence(n)},x\n" for n in range(2500))
    with scope():
        dataset = services.dataset_create(name="staged", actor=ACTOR)
        staged = import_stage(iter([content.encode()]), "rows.csv")
        started = import_start(
            dataset=dataset, actor=ACTOR, file_name="rows.csv", staged=staged, in_background=True
        )
    told: list[float] = []
    result = execute_import(
        import_id=started.pk,
        scope=scope,
        on_progress=lambda fraction, phase, message: told.append(fraction),
    )
    assert result == {"added": 2500, "duplicates": 0, "refused": 0}
    assert told == sorted(told) and 0 < told[0] < 1
    assert not absolute_path(staged).exists()
