"""The pages and the REST addresses of Monitoring."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from modelhub_helpers import ACTOR
from monitoring_fakes import NAME, FakeInference, ask

from rootstock.modelhub import inference, services
from rootstock.modelhub.models import Alarm, Deployment, ModelVersion
from rootstock.modelhub.services.looks import monitoring_look
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

PAGE = f"/models/monitoring/{NAME}/"
pytestmark = pytest.mark.usefixtures("loaded")
Enter = Callable[..., Client]


@pytest.fixture
def enter(db: None, organisation: Organisation, make_user: Callable[..., Any]) -> Enter:
    def sign_in(role: str = "owner") -> Client:
        client = Client()
        backend = "django.contrib.auth.backends.ModelBackend"
        client.force_login(make_user(organisation, role), backend=backend)
        return client

    return sign_in


@pytest.fixture
def versions(
    organisation: Organisation, artifacts: Any, place_artifact: Callable[[], str]
) -> list[ModelVersion]:
    """The first is deployed."""
    with organisation_scope(organisation.pk):
        made = [
            services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)
            for _ in range(2)
        ]
        services.version_promote(version=made[0], actor=ACTOR)
    return made


@pytest.fixture
def asked(
    versions: list[ModelVersion], organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> list[uuid.UUID]:
    """Ids of what was asked; a quarter of another forty texts got no answer, so that there is an alarm."""
    fake = FakeInference(inference._client(0))
    monkeypatch.setattr("rootstock.modelhub.inference._client", lambda _: fake)
    with organisation_scope(organisation.pk):
        ids = ask([f"profit {number} rises" for number in range(30)])
        slot = Deployment.objects.get()
        services.predictions_failed(deployment_id=slot.pk, version_id=slot.version_id, count=10)
        monitoring_look()
    return ids


def read(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path, follow=True)
    assert response.status_code == status, response.content.decode()[:3000]
    return response.content.decode()


def test_before_anything_is_deployed(enter: Enter) -> None:
    assert "Nothing is deployed" in read(enter(), "/models/monitoring/")
    read(enter(), PAGE, status=404)


def test_before_anything_is_asked(enter: Enter, versions: list[ModelVersion]) -> None:
    html = read(enter(), "/models/monitoring/")
    assert "Not asked" in html
    assert "No alarm has been raised" in html
    html = read(enter(), PAGE)
    assert "Nothing was asked in this time" in html
    assert "Nothing to compare with yet" in html


def test_the_list_and_the_page_of_a_deployment(enter: Enter, asked: list[uuid.UUID]) -> None:
    client = enter()
    html = read(client, "/models/monitoring/")
    assert "Alarm" in html
    assert "25.0\u202f% of 40 texts got no answer" in html
    assert '<span class="nav-badge">1</span>' in html or ">1<" in html
    html = read(client, PAGE)
    data = json.loads(
        html.split('<script id="monitor-data" type="application/json">')[1].split("</script>")[0]
    )
    [line] = data["lines"]
    assert line["role"] == "live"
    assert sum(point["answered"] for point in line["points"]) == 30
    assert sum(point["failed"] for point in line["points"]) == 10
    for frame in ("answers", "confidence", "latency", "labels", "histogram", "agreement", "drift"):
        assert f'id="monitor-{frame}"' in html
    assert "30 texts of this version have been collected" in html
    assert "25.0" in read(client, "/"), "the Overview asks for attention"


def test_an_alarm_is_acknowledged_on_the_page(enter: Enter, asked: list[uuid.UUID]) -> None:
    client = enter()
    html = read(client, PAGE)
    assert "I have seen it" in html
    address = html.split('action="/models/monitoring/alarms/')[1].split('"')[0]
    response = client.post(f"/models/monitoring/alarms/{address}", follow=True)
    assert "Seen by" in response.content.decode()
    assert enter("viewer").post(f"/models/monitoring/alarms/{address}").status_code == 403


def test_rules_are_set_on_the_page(
    enter: Enter, versions: list[ModelVersion], organisation: Organisation
) -> None:
    client = enter()
    path = f"{PAGE}rules/"
    html = read(client, path)
    assert "These are the defaults." in html
    assert "Guardrails of a canary" in html
    form: dict[str, Any] = {"drift_source": "snapshot"}
    with organisation_scope(organisation.pk):
        from rootstock.modelhub.monitoring_selectors import monitor_policy

        for key, rule in monitor_policy(NAME).items():
            form[f"{key}-enabled"] = "on"
            form |= {f"{key}-{name}": value for name, value in rule["limits"].items()}
    form["errors-share"] = "40"
    assert "within a minute" in client.post(path, form, follow=True).content.decode()
    with organisation_scope(organisation.pk):
        assert monitor_policy(NAME)["errors"]["limits"]["share"] == 40
    form["errors-share"] = "400"
    response = client.post(path, form)
    assert response.status_code == 422
    assert enter("viewer").post(path, form).status_code == 403
    assert "Save" not in read(enter("viewer"), path).split("<main")[1]


def test_a_canary_from_start_to_end_on_the_page(
    enter: Enter, versions: list[ModelVersion], asked: list[uuid.UUID], organisation: Organisation
) -> None:
    client = enter()
    assert "Start the canary" in read(client, PAGE)
    wrong = client.post(f"{PAGE}canary/", {"version": str(versions[1].pk), "share": "100"})
    assert wrong.status_code == 422
    response = client.post(
        f"{PAGE}canary/", {"version": str(versions[1].pk), "share": "25"}, follow=True
    )
    assert "answers its share from now on" in response.content.decode()
    with organisation_scope(organisation.pk):
        ask([f"loss {number} falls" for number in range(200)])
    html = read(client, PAGE)
    assert "too few answers to say" in html
    assert "Promote it" in html
    assert "Promote it" not in read(enter("viewer"), PAGE)
    response = client.post(f"{PAGE}canary/end/", {"reason": "seen enough"}, follow=True)
    assert "answers everything again" in response.content.decode()
    history = read(client, f"/models/deployments/{NAME}/")
    assert "Canary ended" in history
    assert "seen enough" in history
    assert "has no canary" in client.post(f"{PAGE}canary/end/", {}, follow=True).content.decode()


def test_in_chinese(enter: Enter, asked: list[uuid.UUID]) -> None:
    client = enter()
    client.cookies["django_language"] = "zh-hans"
    assert read(client, PAGE)
    assert read(client, f"{PAGE}rules/")


@pytest.fixture
def call(organisation: Organisation, make_key: Callable[..., str]) -> Callable[..., Any]:
    def send(
        method: str, path: str, body: Any = None, *, status: int = 200, scopes: Any = None
    ) -> Any:
        key = make_key(organisation, scopes=scopes)
        response = Client(headers={"Authorization": f"Bearer {key}"}).generic(
            method,
            f"/api/v1/models/{path}",
            data="" if body is None else json.dumps(body),
            content_type="application/json",
        )
        assert response.status_code == status, response.content.decode()[:2000]
        return response.json()

    return send


SLOT = f"deployments/{NAME}"


def test_live_figures_alarms_and_labels_over_rest(
    call: Callable[..., Any], asked: list[uuid.UUID]
) -> None:
    found = call("GET", f"{SLOT}/monitoring")
    assert sum(point["answered"] for point in found["lines"][0]["points"]) == 30
    call(
        "GET", f"{SLOT}/monitoring?start=2030-01-01T00:00:00Z&end=2020-01-01T00:00:00Z", status=422
    )
    assert call("GET", f"{SLOT}/drift")["results"] == []
    [alarm] = call("GET", "alarms?open=true")["results"]
    assert (alarm["rule"], alarm["closed_at"]) == ("errors", None)
    assert "of 40 texts got no answer" in alarm["detail"]
    assert call("GET", "alarms?open=false")["results"] == []
    read_only = ["models:read"]
    call("POST", f"alarms/{alarm['id']}/acknowledge", status=403, scopes=read_only)
    assert call("POST", f"alarms/{alarm['id']}/acknowledge")["acknowledged_by"]
    label = {"subject_type": "finance.document", "subject_id": str(asked[0]), "label": "negative"}
    assert call("POST", f"{SLOT}/labels", {"labels": [label]}) == {"compared": 1}
    call("POST", f"{SLOT}/labels", {"labels": [{**label, "label": "?"}]}, status=422)
    assert call("GET", f"{SLOT}/monitoring")["labelled"][0]["points"][0]["known"] == 1
    assert Alarm.objects.count() == 0, "outside of a scope nobody sees rows"


def test_rules_and_canaries_over_rest(
    call: Callable[..., Any], versions: list[ModelVersion]
) -> None:
    assert {rule["key"] for rule in call("GET", "monitor/rules")["rules"]} >= {"errors", "drift"}
    assert call("GET", f"{SLOT}/rules")["updated_at"] is None
    body = {"rules": {"drift": {"enabled": False}}, "drift_source": "snapshot"}
    assert call("PUT", f"{SLOT}/rules", body)["rules"]["drift"]["enabled"] is False
    assert call("GET", f"{SLOT}/rules")["drift_source"] == "snapshot"
    call("PUT", f"{SLOT}/rules", {"rules": {"mood": {}}}, status=422)
    assert call("GET", f"{SLOT}/canary")["version"] is None
    start = {"version": str(versions[1].pk), "share": 0.2}
    assert call("POST", f"{SLOT}/canary", start)["canary"] == str(versions[1].pk)
    assert call("GET", f"{SLOT}/canary")["canary"]["answered"] == 0
    call("POST", f"{SLOT}/canary", start, status=409)
    call("POST", f"{SLOT}/canary", start, status=403, scopes=["models:read"])
    assert call("POST", f"{SLOT}/canary/end", {})["canary"] is None
    call("POST", f"{SLOT}/canary/promote", {}, status=409)
