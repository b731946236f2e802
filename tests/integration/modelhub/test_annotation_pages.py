"""The pages of annotation, snapshots, imports and sources, as a signed-in person uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from modelhub_helpers import ACTOR, make_dataset

from rootstock.modelhub import services
from rootstock.modelhub.models import AnnotationQueue, DatasetExample, DatasetImport, Snapshot
from rootstock.modelhub.services import annotation
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

HUB = "/api/v1/models"


@pytest.fixture
def client(organisation: Organisation, make_user: Callable[..., Any], artifacts: Any) -> Client:
    client = Client()
    client.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")
    return client


def html(client: Client, path: str, data: dict[str, Any] | None = None) -> str:
    response = client.get(path) if data is None else client.post(path, data, follow=True)
    assert response.status_code == 200, response.content.decode()[:2000]
    return response.content.decode()


def call(client: Client, path: str, body: Any = None, *, status: int = 200) -> Any:
    kind = "application/json"
    response = (
        client.get(HUB + path)
        if body is None
        else client.post(HUB + path, json.dumps(body), content_type=kind)
    )
    assert response.status_code == status, response.content.decode()[:2000]
    return response.json()


def test_from_a_queue_to_labels(client: Client, organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name="Headlines", actor=ACTOR)
        services.dataset_create(name="Newer", actor=ACTOR)
        rows = [services.NewExample(f"number {n}", "up" if n == 0 else "") for n in range(3)]
        services.examples_add(dataset=dataset, examples=rows, actor=ACTOR)
    assert "Make a queue" in html(client, "/models/annotate/")
    values = {"dataset": str(dataset.pk), "name": "First", "overlap": 1, "order": "oldest"}
    page = html(client, "/models/annotate/new/", values)
    assert "annotate-data" in page and "number 1" in page
    with organisation_scope(organisation.pk):
        queue = AnnotationQueue.objects.get()
    base = f"/queues/{queue.pk}"
    first = call(client, f"{base}/next")
    assert first["progress"]["left"] == 2
    answer = {"example": first["example"]["id"], "answer": {"label": "down"}, "seconds": 3.5}
    second = call(client, f"{base}/annotations", answer)
    assert second["example"]["text"] == "number 2"
    assert call(client, f"{base}/undo", {})["example"]["id"] == first["example"]["id"]
    call(client, f"{base}/annotations", answer)
    call(client, f"{base}/annotations", {"example": second["example"]["id"], "skip": True})
    assert call(client, f"{base}/next")["example"] is None
    problem = call(client, f"{base}/annotations", {"example": answer["example"]}, status=422)
    assert problem["errors"][0]["pointer"].endswith("answer")
    assert "No disagreement" in html(client, f"/models/annotate/{queue.pk}/agreement/")
    with organisation_scope(organisation.pk):
        assert DatasetExample.objects.get(text="number 1").label == "down"


def test_a_disagreement_is_settled_with_one_click(
    client: Client, organisation: Organisation
) -> None:
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name="Headlines", actor=ACTOR)
        services.examples_add(dataset=dataset, examples=[services.NewExample("one")], actor=ACTOR)
        queue = annotation.queue_create(dataset=dataset, actor=ACTOR, name="Twice", overlap=2)
        example = dataset.examples.get()
        annotation.annotation_submit(
            queue=queue, example=example, actor=ACTOR, answer={"label": "up"}
        )
    call(
        client,
        f"/queues/{queue.pk}/annotations",
        {"example": str(example.pk), "answer": {"label": "down"}},
    )
    assert len(call(client, f"/queues/{queue.pk}/disagreements")) == 1
    assert call(client, f"/queues/{queue.pk}/agreement")["raw"] == 0.0
    path = f"/models/annotate/{queue.pk}/examples/{example.pk}/decide/"
    page = html(client, path, {"answer": json.dumps({"label": "up"})})
    assert "Decided." in page
    assert "Nobody has said that." in html(client, path, {"answer": '{"label": "sideways"}'})
    with organisation_scope(organisation.pk):
        example.refresh_from_db()
        assert example.label == "up"


def test_freezing_says_what_was_kept_together(client: Client, organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        dataset = make_dataset(count=60)
    form = html(client, f"/models/data-sets/{dataset.pk}/freeze/")
    assert "Similar texts stay together" in form
    values = {"validation_fraction": 0.2, "test_fraction": 0.1, "near_duplicates": 1, "seed": 3}
    page = html(client, f"/models/data-sets/{dataset.pk}/freeze/", values)
    assert "were not divided" in page
    with organisation_scope(organisation.pk):
        snapshot = Snapshot.objects.get()
    assert sum(snapshot.split_counts.values()) == 60


def test_refused_rows_can_be_downloaded(client: Client, organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name="pairs", task="reranking", actor=ACTOR)
    content = b"query,document,label,user\nq,d,1,u\nq,,1,u\nq,e,maybe,u\n"
    upload = SimpleUploadedFile("pairs.csv", content)
    page = html(client, f"/models/data-sets/{dataset.pk}/import/", {"file": upload})
    assert "neither 0 nor 1" in page
    with organisation_scope(organisation.pk):
        started = DatasetImport.objects.get()
        assert (started.added, started.refused) == (1, 2)
    assert "pairs.csv" in html(client, f"/models/imports/{started.pk}/")
    text = client.get(f"/models/imports/{started.pk}/refused/").content.decode()
    assert text.splitlines()[1].startswith("3,document,the text is empty")
    assert client.get(f"{HUB}/imports/{started.pk}/refused").content.decode() == text
    exported = client.get(f"/models/data-sets/{dataset.pk}/export/?format=csv")
    assert b"".join(exported).decode().splitlines() == ["query,document,label,user", "q,d,1,u"]


def test_a_large_file_is_read_in_the_background(client: Client, organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name="large", actor=ACTOR)
    upload = SimpleUploadedFile("rows.csv", b"text,label\na,x\n")
    response = client.post(f"{HUB}/datasets/{dataset.pk}/imports", {"file": upload})
    assert response.status_code == 202
    body = response.json()
    assert body["job"] and body["finished_at"] is None
    page = html(client, f"/models/imports/{body['id']}/")
    assert "The file is being read" in page


@pytest.mark.parametrize("task", ["token-classification", "text-generation", "next-item"])
def test_the_page_of_an_example_in_both_languages(
    client: Client, organisation: Organisation, task: str
) -> None:
    content = {
        "token-classification": {"tokens": ["Acme", "rises"], "tags": ["B-ORG", "O"]},
        "text-generation": {"prompt": "Acme?", "response": "Yes"},
        "next-item": {"items": ["Acme", "b"]},
    }[task]
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name="rows", task=task, actor=ACTOR)
        rows = [services.NewExample(content=content, metadata={"outlet": "Wire"})]
        services.examples_add(dataset=dataset, examples=rows, actor=ACTOR)
        example = dataset.examples.get()
    for language in ("en", "zh-hans"):
        client.cookies["django_language"] = language
        assert "Acme" in html(client, f"/models/data-sets/{dataset.pk}/")
        page = html(client, f"/models/data-sets/{dataset.pk}/examples/{example.pk}/")
        assert "Acme" in page and "Wire" in page


@pytest.mark.parametrize(
    ("task", "rows", "choice"),
    [
        ("token-classification", '{"tokens": ["Anna", "sings"]}\n', "PER"),
        ("multi-label-classification", '{"text": "a new branch"}\n', "banking"),
        ("reranking", '{"query": "how much", "document": "ten"}\n', "1"),
    ],
)
def test_rows_without_labels_are_imported_and_asked_about(
    client: Client, organisation: Organisation, task: str, rows: str, choice: str
) -> None:
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name="New", task=task, actor=ACTOR)
    file = SimpleUploadedFile("rows.jsonl", rows.encode())
    values = {"file": file, "unlabelled": "on", "text_column": "text"}
    assert "1 example added." in html(client, f"/models/data-sets/{dataset.pk}/import/", values)
    queue = {"dataset": str(dataset.pk), "name": "First", "overlap": 1, "order": "oldest"}
    page = html(client, "/models/annotate/new/", queue | {"choices": choice})
    assert "annotate-data" in page and choice in page
    with organisation_scope(organisation.pk):
        assert not dataset.examples.get().labelled
