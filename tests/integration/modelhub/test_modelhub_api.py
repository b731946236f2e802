"""The models API: contract, permissions, errors that say where, and nothing of another organisation."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from modelhub_helpers import ACTOR, make_snapshot

from rootstock.modelhub import services
from rootstock.modelhub.models import DatasetExample, TrainingRun
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

BASE = "/api/v1/models"


class Api:
    """A client with a key."""

    def __init__(self, key: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {key}"})

    def __call__(
        self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str
    ) -> Any:
        options: dict[str, Any] = {"headers": {k.replace("_", "-"): v for k, v in headers.items()}}
        if body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        response = self.client.generic(method, f"{BASE}/{path}", **options)
        assert response.status_code == status, response.content.decode()
        if status >= 400:
            assert response["Content-Type"] == "application/problem+json"
        self.response = response
        return json.loads(response.content) if response.content else None

    def upload(
        self, dataset: str, name: str, content: bytes, *, status: int = 200, **more: str
    ) -> Any:
        file = SimpleUploadedFile(name, content)
        response = self.client.post(f"{BASE}/datasets/{dataset}/upload", {"file": file, **more})
        assert response.status_code == status, response.content.decode()
        return response.json()


@pytest.fixture
def api(organisation: Organisation, make_key: Callable[..., str], artifacts: Any) -> Api:
    return Api(make_key(organisation))


@pytest.fixture
def dataset(api: Api) -> str:
    return api("POST", "datasets", {"name": "Headlines"}, status=201)["id"]


def test_a_data_set_from_creation_to_deletion(api: Api) -> None:
    made = api("POST", "datasets", {"name": "Headlines", "language": "zh"}, status=201)
    assert (made["examples"], made["labels"]) == (0, {})
    etag = api.response["ETag"]
    assert api("POST", "datasets", {"name": "Headlines"}, status=409)["type"].endswith("name-taken")
    path = f"datasets/{made['id']}"
    changed = api("PATCH", path, {"description": "Daily"}, If_Match=etag)
    assert changed["description"] == "Daily"
    api("PATCH", path, {"description": "Weekly"}, status=412, If_Match=etag)
    assert [row["id"] for row in api("GET", "datasets")["results"]] == [made["id"]]
    api("DELETE", path, status=204)
    api("GET", path, status=404)


def test_examples_are_added_once_searched_and_relabelled(api: Api, dataset: str) -> None:
    path = f"datasets/{dataset}/examples"
    body = {
        "examples": [
            {"text": "Profit rises", "label": "positive"},
            {"text": "Profit falls", "label": "negative", "source": "reuters"},
            {"text": "Office opens"},
        ]
    }
    assert api("POST", path, body, Idempotency_Key="k1")["added"] == 3
    assert api("POST", path, body, Idempotency_Key="k1")["added"] == 3, "the first answer again"
    assert api("POST", path, body) == {"added": 0, "duplicates": 3, "conflicts": []}
    assert api("GET", f"datasets/{dataset}")["labels"] == {"": 1, "negative": 1, "positive": 1}
    assert [row["text"] for row in api("GET", path)["results"]] == [
        "Office opens", "Profit falls", "Profit rises",
    ]  # fmt: skip
    assert len(api("GET", path + "?search=PROFIT")["results"]) == 2
    assert [r["text"] for r in api("GET", path + "?label=")["results"]] == ["Office opens"]
    example = api("GET", path + "?label=negative")["results"][0]
    assert example["source"] == "reuters"
    read = api("PATCH", f"{path}/{example['id']}", {"label": "neutral"})
    assert read["label"] == "neutral"
    assert [(c["from_label"], c["to_label"]) for c in read["history"]] == [("negative", "neutral")]
    api("DELETE", f"{path}/{example['id']}", status=204)
    assert api("GET", f"datasets/{dataset}")["examples"] == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"examples": []}, "/examples"),
        ({"examples": [{"text": "a"}] * 1001}, "/examples"),
        ({"examples": [{"text": "a"}, {"text": " "}]}, "/examples/1/text"),
        ({"examples": [{"text": "a"}, {"label": "x"}]}, "/examples/1/text"),
        ({"examples": [{"text": "a" * 100_001}]}, "/examples/0/text"),
        ({"examples": [{"text": "\ud800"}]}, "/examples/0/text"),
        ({}, "/examples"),
    ],
)
def test_bad_examples_are_named_by_place(api: Api, dataset: str, body: Any, pointer: str) -> None:
    problem = api("POST", f"datasets/{dataset}/examples", body, status=422)
    assert problem["errors"][0]["pointer"].startswith(pointer)


def test_an_upload_keeps_good_rows_and_names_bad_ones(api: Api, dataset: str) -> None:
    content = (
        'text,label\nProfit rises,positive\n,negative\n"Office, opens",neutral\nonly one field\n'
    )
    report = api.upload(dataset, "rows.csv", content.encode())
    assert (report["rows"], report["added"], report["problem_count"]) == (4, 2, 2)
    assert [(p["line"], p["detail"]) for p in report["problems"]] == [
        (3, "the text is empty"),
        (5, "1 fields where the header has 2"),
    ]
    again = api.upload(dataset, "rows.csv", content.encode())
    assert (again["added"], again["duplicates"]) == (0, 2)


def test_a_file_that_is_none_is_refused(api: Api, dataset: str) -> None:
    problem = api.upload(dataset, "rows.xlsx", b"PK\x03\x04", status=422)
    assert ".csv" in problem["detail"]
    problem = api.upload(dataset, "rows.csv", b"headline,label\na,b\n", status=422)
    assert "“headline”" in problem["detail"]
    assert (
        api.upload(dataset, "rows.csv", b"headline,label\na,b\n", text_column="headline")["added"]
        == 1
    )
    response = api.client.post(f"{BASE}/datasets/{dataset}/upload", {})
    assert response.status_code == 422


def test_runs_over_the_api(api: Api, organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
    listed = api("GET", f"snapshots?dataset={snapshot.dataset_id}")["results"]
    assert [row["id"] for row in listed] == [str(snapshot.pk)]
    same = api("POST", "snapshots", {"dataset": str(snapshot.dataset_id)}, status=201)
    assert same["id"] == str(snapshot.pk)
    body = {"snapshot": same["id"], "name": "finance.sentiment", "config": {"epochs": 2}}
    run = api("POST", "runs", body, status=201)
    assert (run["state"], run["config"], run["curve"]) == ("queued", {"epochs": 2}, [])
    assert run["job"] is not None
    assert len(api("GET", "runs?state=queued")["results"]) == 1
    assert api("GET", "runs?state=running")["results"] == []
    assert api("POST", f"runs/{run['id']}/cancel", status=202)["state"] == "cancelled"
    assert "ended" in api("POST", f"runs/{run['id']}/cancel", status=409)["detail"]
    assert len(api("GET", "runs?state=cancelled")["results"]) == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "Finance Sentiment"}, "/name"),
        ({"config": {"epoch": 1}}, "/config/epoch"),
        ({"config": {"epochs": -1}}, "/config/epochs"),
        ({"config": {"base": "/etc"}}, "/config/base"),
        ({"config": {"learning_rate": "fast"}}, "/config/learning_rate"),
    ],
)
def test_a_wrong_run_is_refused(
    api: Api, organisation: Organisation, change: dict[str, Any], pointer: str
) -> None:
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
    body = {"snapshot": str(snapshot.pk), "name": "finance.sentiment"} | change
    assert api("POST", "runs", body, status=422)["errors"][0]["pointer"] == pointer
    with organisation_scope(organisation.pk):
        assert not TrainingRun.objects.exists()


def test_versions_and_deployments(
    api: Api, organisation: Organisation, place_artifact: Callable[[], str], loaded: list[str]
) -> None:
    with organisation_scope(organisation.pk):
        versions = [
            services.version_register(
                name="finance.sentiment", artifact_path=place_artifact(), actor=ACTOR
            )
            for _ in range(2)
        ]
    ids = [str(version.pk) for version in versions]
    listed = api("GET", "versions?name=finance.sentiment")["results"]
    assert [row["id"] for row in listed] == ids[::-1]
    assert "macro_f1" in api("GET", f"versions/{ids[0]}")["metrics"]["validation"]
    assert "#" in api("GET", f"versions/{ids[0]}/card")["markdown"]
    slot = "deployments/finance.sentiment"
    api("GET", slot, status=404)
    for version in ids:
        promoted = api("POST", f"{slot}/promote", {"version": version, "reason": "better"})
        assert promoted["version"]["id"] == version
    assert api("POST", f"{slot}/promote", {"version": ids[1]}, status=409)["type"].endswith(
        "already-deployed"
    )
    back = api("POST", f"{slot}/rollback", {"reason": "worse"})
    assert back["version"]["id"] == ids[0]
    history = api("GET", f"{slot}/history")["results"]
    assert [(row["kind"], row["to_label"]) for row in history] == [
        ("rolled-back", "finance.sentiment v1"),
        ("promoted", "finance.sentiment v2"),
        ("promoted", "finance.sentiment v1"),
    ]
    assert {verdict["check"] for verdict in history[0]["checks"]} == {
        "artifact",
        "labels",
        "loads",
    }
    assert [row["name"] for row in api("GET", "deployments")["results"]] == ["finance.sentiment"]
    assert api("POST", f"{slot}/rollback", {}, status=409)["type"].endswith(
        "nothing-to-roll-back-to"
    )


def test_a_refused_promotion_carries_the_evidence(
    api: Api,
    organisation: Organisation,
    place_artifact: Callable[[], str],
    loaded: list[str],
    artifacts: Any,
) -> None:
    with organisation_scope(organisation.pk):
        version = services.version_register(
            name="finance.sentiment", artifact_path=place_artifact(), actor=ACTOR
        )
    (artifacts / version.artifact_path / "tokenizer.json").unlink()
    problem = api(
        "POST", "deployments/finance.sentiment/promote", {"version": str(version.pk)}, status=409
    )
    assert problem["type"].endswith("promotion-refused")
    assert problem["errors"][0]["pointer"] == "/checks/artifact"
    api("GET", "deployments/finance.sentiment", status=404)


def test_predictions_are_filtered(
    api: Api, organisation: Organisation, place_artifact: Callable[[], str], loaded: list[str]
) -> None:
    from rootstock.modelhub.inference import DeploymentResult, Prediction

    subject = uuid.uuid4()
    with organisation_scope(organisation.pk):
        version = services.version_register(name="a.b", artifact_path=place_artifact(), actor=ACTOR)
        slot = services.version_promote(version=version, actor=ACTOR)
        result = DeploymentResult(
            slot.pk, version.pk, version.label, ("en",), ("x", "y"),
            [Prediction("x", {"x": 0.75, "y": 0.25}), Prediction("y", {"x": 0.5, "y": 0.5})], 0.012,
        )  # fmt: skip
        services.predictions_log(
            result=result,
            subjects=[
                services.Subject("test.thing", subject),
                services.Subject("test.thing", slot.pk),
            ],
        )
    rows = api("GET", f"predictions?deployment=a.b&subject_id={subject}")["results"]
    assert [(row["label"], row["probabilities"], row["latency_ms"]) for row in rows] == [
        ("x", [0.75, 0.25], 12.0)
    ]
    assert len(api("GET", "predictions?deployment=a.b")["results"]) == 2
    assert api("GET", "predictions?deployment=other")["results"] == []
    assert (
        api("GET", "predictions?subject_id=nonsense", status=422)["errors"][0]["pointer"]
        == "/subject_id"
    )


def test_scopes_and_other_organisations(
    api: Api,
    dataset: str,
    organisation: Organisation,
    organisation_b: Organisation,
    make_key: Callable[..., str],
) -> None:
    api("POST", f"datasets/{dataset}/examples", {"examples": [{"text": "a", "label": "b"}]})
    with organisation_scope(organisation.pk):
        example = DatasetExample.objects.get()
    reader = Api(make_key(organisation, scopes=["models:read"]))
    assert len(reader("GET", "datasets")["results"]) == 1
    reader("POST", "datasets", {"name": "x"}, status=403)
    Api(make_key(organisation, scopes=["finance:read"]))("GET", "datasets", status=403)
    other = Api(make_key(organisation_b))
    for method, path, body in [
        ("GET", f"datasets/{dataset}", None),
        ("PATCH", f"datasets/{dataset}", {"name": "x"}),
        ("DELETE", f"datasets/{dataset}", None),
        ("GET", f"datasets/{dataset}/examples", None),
        ("GET", f"datasets/{dataset}/examples/{example.pk}", None),
        ("PATCH", f"datasets/{dataset}/examples/{example.pk}", {"label": "x"}),
        ("POST", "snapshots", {"dataset": dataset}),
    ]:
        other(method, path, body, status=404)
    for path in ("datasets", "snapshots", "runs", "versions", "deployments", "predictions"):
        assert other("GET", path)["results"] == []
