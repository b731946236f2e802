"""Documents of the monitor as rows of a data set: labelled by people there, and left so by the next pull."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from finance_fakes import FakeModels

from apps.finance_sentiment.models import Document
from apps.finance_sentiment.services import scoring
from ml_core.data import read_rows
from rootstock.modelhub.models import Dataset, DatasetExample, LabelChange, Snapshot
from rootstock.modelhub.storage import absolute_path
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

TITLES = [
    "Oil profit rises at Alpha", "Lawsuit against Beta Bank", "Gamma publishes its annual report",
    "Delta shares with a record", "Epsilon falls after fraud", "Zeta moves its office",
    "Eta wins a gas contract", "Theta loan makes a loss", "Iota opens its annual meeting",
]  # fmt: skip


class Api:
    """A client with a key; answers as JSON, which must be of the expected status."""

    def __init__(self, key: str) -> None:
        self._client = Client()
        self._headers = {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        response = self._client.generic(
            method,
            f"/api/v1/models/{path}",
            json.dumps(body or {}),
            content_type="application/json",
            headers=self._headers,
        )
        assert response.status_code == status, response.content
        return response.json()


@pytest.fixture
def api(organisation: Organisation, make_key: Callable[..., str]) -> Api:
    return Api(make_key(organisation))


def documents() -> list[dict[str, Any]]:
    return [{"title": title, "external_id": f"d-{n}"} for n, title in enumerate(TITLES)]


def label_of(dataset: Dataset, text: str) -> str:
    return DatasetExample.objects.get(dataset=dataset, text=text).label


def test_documents_are_pulled_labelled_and_pulled_again(  # noqa: PLR0917 - fixtures
    live_db: None,
    api: Api,
    organisation: Organisation,
    models: FakeModels,
    post: Callable[..., Any],
    drain: Callable[[], int],
    artifacts: Path,
) -> None:
    with organisation_scope(organisation.pk):
        post(*documents(), {"title": "Ein deutscher Satz über Öl", "language": "de"})
    drain()
    made = api("POST", "datasets", {"name": "Headlines"}, 201)
    offered = api("GET", f"datasets/{made['id']}/sources")
    assert "finance.documents" in [source["key"] for source in offered]
    pull = f"datasets/{made['id']}/sources/finance.documents/pull"
    assert api("POST", pull) == {"added": len(TITLES), "duplicates": 0, "refused": 0}

    with organisation_scope(organisation.pk):
        dataset = Dataset.objects.get(pk=made["id"])
        examples = list(dataset.examples.order_by("id"))
        assert sorted(example.text for example in examples) == sorted(TITLES)
        first = next(example for example in examples if example.text == TITLES[0])
        assert not any(example.labelled for example in examples), "a person has to say"
        assert first.metadata["model_sentiment"] == "positive"
        assert first.metadata["model_topics"] == "energy"
        assert first.uncertainty == pytest.approx(0.1)

    # People label them all; about the last one they change their mind.
    path = f"datasets/{made['id']}/examples"
    for example in examples:
        said = example.metadata["model_sentiment"] if example.text != TITLES[8] else "positive"
        api("PATCH", f"{path}/{example.pk}", {"label": said})
        if example.text == TITLES[8]:
            api("PATCH", f"{path}/{example.pk}", {"label": "neutral"})
    with organisation_scope(organisation.pk):
        assert LabelChange.objects.filter(example__text=TITLES[8]).count() == 2

    # The source corrects one headline, and the time of another; both are scored anew.
    with organisation_scope(organisation.pk):
        post({"title": "Oil profit falls at Alpha", "external_id": "d-0"}, documents()[1])
    drain()
    with organisation_scope(organisation.pk):
        assert Document.objects.get(external_id="d-0").revision == 2
    assert api("POST", pull) == {"added": 1, "duplicates": 1, "refused": 0}
    # Everything is read again, say by another model: what people said stays.
    with organisation_scope(organisation.pk):
        Document.objects.update(status=Document.Status.PENDING)
    drain()
    again = api("POST", pull)
    assert again == {"added": 0, "duplicates": len(TITLES), "refused": 0}

    with organisation_scope(organisation.pk):
        assert dataset.examples.filter(labelled=True).count() == len(TITLES)
        assert label_of(dataset, TITLES[0]) == "positive"
        assert label_of(dataset, TITLES[8]) == "neutral"
        assert label_of(dataset, "Oil profit falls at Alpha") == ""
    frozen = api("POST", "snapshots", {"dataset": made["id"]}, 201)
    with organisation_scope(organisation.pk):
        snapshot = Snapshot.objects.get(pk=frozen["id"])
        rows = [
            row.content
            for part in ("train", "validation", "test")
            for row in read_rows(absolute_path(snapshot.path) / f"{part}.jsonl", dataset.task)
        ]
    answers = {row["text"]: row.get("label") for row in rows if row.get("label")}
    assert len(answers) == len(TITLES)
    assert answers[TITLES[1]] == "negative"


def test_what_a_worker_is_about_to_store_is_not_passed_over(
    live_db: None,
    api: Api,
    organisation: Organisation,
    models: FakeModels,
    post: Callable[..., Any],
) -> None:
    """Two workers score at once; the one that began first commits last."""
    made = api("POST", "datasets", {"name": "Headlines"}, 201)
    pull = f"datasets/{made['id']}/sources/finance.documents/pull"
    with organisation_scope(organisation.pk):
        post(documents()[0])
    early = scoring.batch_prepare(organisation_id=organisation.pk)
    begun, go_on = Event(), Event()

    def write_slowly() -> None:
        with organisation_scope(organisation.pk):
            begun.set()
            go_on.wait(60)
            scoring.batch_write(batch=early)
        connection.close()

    worker = Thread(target=write_slowly)
    worker.start()
    try:
        assert begun.wait(60)
        with organisation_scope(organisation.pk):
            post(documents()[1])
        late = scoring.batch_prepare(organisation_id=organisation.pk)
        with organisation_scope(organisation.pk):
            assert scoring.batch_write(batch=late) == 1
        assert api("POST", pull)["added"] == 0, "the second waits for the first"
    finally:
        go_on.set()
        worker.join()
    assert api("POST", pull)["added"] == 2


def test_a_pull_needs_the_right_to_read_documents(
    organisation: Organisation, make_key: Callable[..., str], models: FakeModels
) -> None:
    api = Api(make_key(organisation, scopes=["models:read", "models:write"]))
    made = api("POST", "datasets", {"name": "Headlines"}, 201)
    assert api("GET", f"datasets/{made['id']}/sources") == []
    api("POST", f"datasets/{made['id']}/sources/finance.documents/pull", status=404)


def test_another_organisation_pulls_nothing_of_ours(  # noqa: PLR0917 - fixtures
    organisation: Organisation,
    organisation_b: Organisation,
    make_key: Callable[..., str],
    models: FakeModels,
    post: Callable[..., Any],
    drain: Callable[[], int],
) -> None:
    with organisation_scope(organisation.pk):
        post(*documents())
    drain()
    theirs = Api(make_key(organisation_b))
    made = theirs("POST", "datasets", {"name": "Headlines"}, 201)
    pulled = theirs("POST", f"datasets/{made['id']}/sources/finance.documents/pull")
    assert pulled == {"added": 0, "duplicates": 0, "refused": 0}
