"""Texts with labelled spans: imported, shown, annotated, frozen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from modelhub_helpers import ACTOR
from test_runs_api import Api

from rootstock.modelhub import services
from rootstock.modelhub.data_selectors import answer_distribution
from rootstock.modelhub.models import Dataset, DatasetExample
from rootstock.modelhub.storage import absolute_path
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

TEXT = "Acme gains as Bolt falls"
INSIDE = {
    "text": TEXT,
    "spans": [
        {"start": 0, "end": 4, "label": "positive"},
        {"start": 14, "end": 18, "label": "negative"},
    ],
}
BESIDE = {
    "text": "央行降息,银行股下跌",
    "spans": [[0, 2], [5, 8]],
    "labels": ["positive", "negative"],
}
WAITING = {"text": "Acme and Bolt talk", "spans": [[0, 4], [9, 13]]}


@pytest.fixture
def dataset(organisation: Organisation, artifacts: Path) -> Dataset:
    with organisation_scope(organisation.pk):
        return services.dataset_create(
            name="mentions", actor=ACTOR, task="span-classification", language="mixed"
        )


@pytest.fixture
def client(organisation: Organisation, make_user: Callable[..., Any]) -> Client:
    found = Client()
    found.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")
    return found


def upload(client: Client, dataset: Dataset, rows: list[dict[str, Any]], **more: str) -> Any:
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file = SimpleUploadedFile("rows.jsonl", lines.encode())
    path = f"/models/data-sets/{dataset.pk}/import/"
    return client.post(path, {"file": file, **more}, follow=True)


def test_a_file_of_spans_is_imported_and_its_faults_are_named(
    client: Client, dataset: Dataset, organisation: Organisation
) -> None:
    bad = {"text": "Acme", "spans": [[0, 9]], "labels": ["positive"]}

    page = upload(client, dataset, [INSIDE, BESIDE, bad]).content.decode()

    assert "not within the text of 4 characters" in page
    with organisation_scope(organisation.pk):
        assert answer_distribution(dataset) == {"negative": 2, "positive": 2}
        rows = list(DatasetExample.objects.order_by("id"))
        assert rows[0].content == {
            "text": TEXT, "spans": [[0, 4], [14, 18]], "labels": ["positive", "negative"],
        }  # fmt: skip
    listed = client.get(f"/models/data-sets/{dataset.pk}/").content.decode()
    assert "Acme (positive) · Bolt (negative)" in listed
    assert "银行股 (negative)" in listed


def test_a_span_is_relabelled_on_its_page(
    client: Client, dataset: Dataset, organisation: Organisation
) -> None:
    upload(client, dataset, [INSIDE])
    with organisation_scope(organisation.pk):
        example = DatasetExample.objects.get()
    path = f"/models/data-sets/{dataset.pk}/examples/{example.pk}/"
    assert 'value="positive"' in client.get(path).content.decode()

    client.post(f"{path}answer/", {"labels": ["neutral", "negative"]})
    refused = client.post(f"{path}answer/", {"labels": ["neutral"]}, follow=True).content.decode()

    assert "1 labels for 2 spans" in refused
    with organisation_scope(organisation.pk):
        example.refresh_from_db()
        assert example.content["labels"] == ["neutral", "negative"]
        assert example.label_changes.count() == 1


def test_spans_are_annotated_and_agreement_is_by_span(
    client: Client, dataset: Dataset, organisation: Organisation, make_key: Callable[..., str]
) -> None:
    upload(client, dataset, [WAITING], unlabelled="on")
    api = Api(make_key(organisation))
    choices = ["positive", "negative", "neutral"]
    made = api.post(
        "/api/v1/models/queues",
        {"dataset": str(dataset.pk), "name": "Mentions", "choices": choices, "people": 1},
    ).json()
    following = api.get(f"/api/v1/models/queues/{made['id']}/next").json()
    assert following["example"]["content"]["spans"] == [[0, 4], [9, 13]]
    assert "annotate-data" in client.get(f"/models/annotate/{made['id']}/").content.decode()

    path = f"/api/v1/models/queues/{made['id']}/annotations"
    example = following["example"]["id"]
    wrong = api.post(path, {"example": example, "answer": {"labels": ["up", "down"]}})
    assert wrong.status_code == 422
    answer = api.post(path, {"example": example, "answer": {"labels": ["positive", "neutral"]}})

    assert answer.status_code in (200, 201), answer.content
    with organisation_scope(organisation.pk):
        assert DatasetExample.objects.get().content["labels"] == ["positive", "neutral"]


def test_a_snapshot_holds_the_spans(
    client: Client, dataset: Dataset, organisation: Organisation
) -> None:
    rows = [
        {"text": f"Acme {number} gains", "spans": [[0, 4]], "labels": [("up", "down")[number % 2]]}
        for number in range(40)
    ]
    upload(client, dataset, rows)

    with organisation_scope(organisation.pk):
        snapshot = services.snapshot_create(dataset=dataset, actor=ACTOR)
        lines = (absolute_path(snapshot.path) / "train.jsonl").read_text().splitlines()

    assert json.loads(lines[0])["spans"] == [[0, 4]]
    assert set(snapshot.label_counts["train"]) == {"up", "down"}
