"""The gate, lineage, evaluations and shadows over REST."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from modelhub_helpers import ACTOR, make_snapshot

from rootstock.jobs.models import Job
from rootstock.modelhub import services
from rootstock.modelhub.models import ModelVersion
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

NAME = "finance.sentiment"
SLOT = f"deployments/{NAME}"
pytestmark = pytest.mark.usefixtures("loaded")
Api = Callable[..., Any]


@pytest.fixture
def call(organisation: Organisation, make_key: Callable[..., str]) -> Api:
    """`call("GET", "versions", status=200)` as a key of the organisation; `scopes` narrows it."""

    def ask(
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int = 200,
        scopes: list[str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        key = make_key(organisation, scopes=scopes)
        response = Client(headers={"Authorization": f"Bearer {key}", **(headers or {})}).generic(
            method,
            f"/api/v1/models/{path}",
            data="" if body is None else json.dumps(body),
            content_type="application/json",
        )
        assert response.status_code == status, response.content.decode()[:2000]
        return response.json()

    return ask


@pytest.fixture
def versions(
    organisation: Organisation, artifacts: Any, place_artifact: Callable[[], str]
) -> list[ModelVersion]:
    """A version of a snapshot and its child."""
    with organisation_scope(organisation.pk):
        first = services.version_register(
            name=NAME,
            artifact_path=place_artifact(),
            actor=ACTOR,
            snapshot=make_snapshot(count=60),
            metrics={"test": {"macro_f1": 0.9}},
        )
        child = services.version_register(
            name=NAME, artifact_path=place_artifact(), actor=ACTOR, parent=first
        )
        services.version_promote(version=first, actor=ACTOR)
    return [first, child]


def test_lineage(call: Api, versions: list[ModelVersion]) -> None:
    first, child = versions
    line = call("GET", f"versions/{child.pk}/lineage")
    assert line["version"]["digest"] == child.digest
    assert [row["id"] for row in line["ancestors"]] == [str(first.pk)]
    assert line["ancestors"][0]["snapshot_hash"] == first.snapshot.content_hash
    assert (line["descendants"], line["serving"]) == ([], [])
    line = call("GET", f"versions/{first.pk}/lineage")
    assert [row["parent"] for row in line["descendants"]] == [str(first.pk)]
    assert (line["serving"], line["deployed"], line["complete"]) == ([NAME], [NAME], True)
    call("GET", f"versions/{uuid.uuid4()}/lineage", status=404)


def test_the_gate_is_started_and_its_reports_are_read(
    call: Api, versions: list[ModelVersion], organisation: Organisation
) -> None:
    first, child = versions
    job = call("POST", f"versions/{child.pk}/gate", {}, status=202)
    assert (job["kind"], job["state"]) == ("modelhub.gate", "queued")
    problem = call("POST", f"versions/{child.pk}/gate", {"deployment": NAME}, status=409)
    assert problem["type"].endswith("gate-running")
    call("POST", f"versions/{child.pk}/gate", {"deployment": "Not a name"}, status=422)
    (report,) = call("GET", f"versions/{first.pk}/gate?deployment={NAME}")["results"]
    assert report["passed"]
    assert {"check", "verdict", "asked", "detail", "evidence", "limits"} <= set(
        report["verdicts"][0]
    )
    assert call("GET", f"versions/{child.pk}/gate")["results"] == []


def test_measuring_on_a_snapshot(
    call: Api, versions: list[ModelVersion], organisation: Organisation
) -> None:
    first, child = versions
    body = {"snapshot": str(first.snapshot_id), "split": "test"}
    job = call("POST", f"versions/{child.pk}/evaluations", body, status=202)
    with organisation_scope(organisation.pk):
        params = Job.objects.get(pk=job["id"]).params
    assert params == {"version": str(child.pk), **body}
    body["snapshot"] = str(uuid.uuid4())
    call("POST", f"versions/{child.pk}/evaluations", body, status=404)
    assert call("GET", f"versions/{child.pk}/evaluations")["results"] == []


def test_a_policy_is_set_read_and_guarded(call: Api, versions: list[ModelVersion]) -> None:
    checks = call("GET", "gate/checks")["checks"]
    assert [check["key"] for check in checks if check["required"]] == [
        "artifact",
        "labels",
        "loads",
    ]
    policy = call("GET", f"{SLOT}/gate")
    assert policy["updated_at"] is None
    assert policy["checks"]["quality"]["limits"] == {"allowed_loss_points": 1.0}
    change = {"checks": {"quality": {"limits": {"allowed_loss_points": 2.5}}}}
    policy = call("PUT", f"{SLOT}/gate", change)
    assert policy["checks"]["quality"] == {"enabled": True, "limits": {"allowed_loss_points": 2.5}}
    assert policy["checks"]["size"]["enabled"]
    call("PUT", f"{SLOT}/gate", change, status=412, headers={"If-Match": '"old"'})
    problem = call("PUT", f"{SLOT}/gate", {"checks": {"artifact": {"enabled": False}}}, status=422)
    assert problem["errors"][0]["pointer"] == "/checks/artifact/enabled"
    call("PUT", f"{SLOT}/gate", change, status=403, scopes=["models:read"])
    call("GET", "deployments/Not%20a%20name/gate", status=422)


def test_a_shadow_over_rest(call: Api, versions: list[ModelVersion]) -> None:
    _first, child = versions
    empty = call("GET", f"{SLOT}/shadow")
    assert (empty["version"], empty["asked"], empty["agreement"]) == (None, 0, None)
    call("POST", f"{SLOT}/shadow/end", {}, status=409)
    call("POST", f"{SLOT}/shadow", {"version": str(child.pk), "rate": 2}, status=422)
    slot = call("POST", f"{SLOT}/shadow", {"version": str(child.pk), "rate": 0.5})
    assert (slot["shadow"], slot["shadow_rate"]) == (str(child.pk), 0.5)
    assert call("GET", f"{SLOT}/shadow")["version"] == str(child.pk)
    assert call("POST", f"{SLOT}/shadow/end", {"reason": "enough"})["shadow"] is None
    kinds = [row["kind"] for row in call("GET", f"{SLOT}/history")["results"]]
    assert kinds == ["shadow-ended", "shadow-started", "promoted"]
    call("POST", f"{SLOT}/shadow", {"version": str(child.pk)}, status=403, scopes=["models:read"])
