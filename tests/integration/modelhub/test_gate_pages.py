"""The pages of the gate: what was asked and found, the policy, the family of a version, a shadow side by side."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from modelhub_helpers import ACTOR, make_snapshot

from rootstock.jobs import services as jobs
from rootstock.modelhub import selectors, services
from rootstock.modelhub.models import GatePolicy, GateReport, ModelVersion, Prediction
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

NAME = "finance.sentiment"
SLOT = f"/models/deployments/{NAME}/"
pytestmark = pytest.mark.usefixtures("loaded")
Page = Callable[..., str]


@pytest.fixture
def sign_in(organisation: Organisation, make_user: Callable[..., Any]) -> Callable[[str], Page]:
    def enter(role: str = "owner") -> Page:
        client = Client()
        backend = "django.contrib.auth.backends.ModelBackend"
        client.force_login(make_user(organisation, role), backend=backend)

        def get(path: str, data: dict[str, Any] | None = None, *, status: int = 200) -> str:
            ask = client.get if data is None else client.post
            response = ask(path, data, follow=True)
            assert response.status_code == status, response.content.decode()[:3000]
            return response.content.decode()

        get.client = client  # type: ignore[attr-defined]
        return get

    return enter


@pytest.fixture
def page(sign_in: Callable[[str], Page]) -> Page:
    return sign_in("owner")


@pytest.fixture
def versions(
    organisation: Organisation, artifacts: Any, place_artifact: Callable[[], str]
) -> list[ModelVersion]:
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
        first = services.version_register(
            name=NAME,
            artifact_path=place_artifact(),
            actor=ACTOR,
            snapshot=snapshot,
            metrics={"test": {"macro_f1": 0.9}},
        )
        child = services.version_register(
            name=NAME,
            artifact_path=place_artifact(),
            actor=ACTOR,
            snapshot=snapshot,
            parent=first,
            metrics={"test": {"macro_f1": 0.7}},
        )
    return [first, child]


def test_from_the_question_to_the_verdicts(
    page: Page, versions: list[ModelVersion], organisation: Organisation
) -> None:
    first, child = versions
    html = page(f"/models/versions/{first.pk}/")
    assert "The gate has not been asked yet" in html
    assert "At most 2000 MB of files." in html, "what will be asked is told before"
    html = page(f"/models/versions/{first.pk}/gate/", {"deployment": NAME})
    assert 'id="gate-bar"' in html
    assert "Make the checks" not in html
    with organisation_scope(organisation.pk):
        job = selectors.gate_job(first, NAME)
        assert job is not None
        jobs.job_cancel(job.pk)
        services.gate_now(version=first, deployment=NAME, actor=ACTOR)
    html = page(f"/models/versions/{first.pk}/")
    assert "Every check has passed" in html
    assert "All files are there and unchanged." in html
    assert "Not applicable" in html
    assert "p95_ms" in html, "the evidence"
    page(f"/models/versions/{first.pk}/deploy/", {"deployment": NAME})
    html = page(f"/models/versions/{child.pk}/deploy/", {"deployment": NAME}, status=422)
    assert "It was not deployed" in html
    assert "70.0 % against 90.0 %" in html
    assert "You can deploy it nevertheless" in html
    with organisation_scope(organisation.pk):
        assert GateReport.objects.filter(version=child).count() == 1, "a refusal keeps the evidence"
    assert "Not every check has passed" in page(f"/models/versions/{child.pk}/")


def test_the_family_of_a_version(page: Page, versions: list[ModelVersion]) -> None:
    first, child = versions
    html = page(f"/models/versions/{child.pk}/")
    assert 'class="tree"' in html
    assert f'href="/models/versions/{first.pk}/"' in html
    assert 'aria-current="page">finance.sentiment v2' in html


def test_a_policy_is_edited(
    page: Page, versions: list[ModelVersion], organisation: Organisation
) -> None:
    path = f"{SLOT}gate/"
    html = page(path)
    assert "These are the defaults." in html
    assert 'name="forgetting-allowed_loss_points"' in html
    values = {
        f"{key}-{name}": str(value)
        for key, check in _defaults().items()
        for name, value in check["limits"].items()
    } | {f"{key}-enabled": "on" for key in _defaults() if key != "latency"}
    html = page(path, values | {"size-largest_megabytes": "0"}, status=422)
    assert "Nothing was changed" in html
    html = page(path, values | {"size-largest_megabytes": "100"})
    assert "ask for this" in html
    with organisation_scope(organisation.pk):
        assert GatePolicy.objects.get().checks == {
            "latency": {"enabled": False, "limits": {}},
            "size": {"enabled": True, "limits": {"largest_megabytes": 100.0}},
        }
    page("/models/deployments/Not a name/gate/", status=404)


def test_a_shadow_beside_what_is_answered(
    page: Page, versions: list[ModelVersion], organisation: Organisation
) -> None:
    first, child = versions
    with organisation_scope(organisation.pk):
        slot = services.version_promote(version=first, actor=ACTOR)
    html = page(f"{SLOT}?shadow={child.pk}")
    assert f'<option value="{child.pk}" selected>' in html
    assert "above 0" not in html
    page(f"{SLOT}shadow/", {"version": str(child.pk), "rate": "7"}, status=422)
    html = page(f"{SLOT}shadow/", {"version": str(child.pk), "rate": "1", "reason": "to see"})
    assert "applications do not see what it says" in html
    assert "Nothing has been asked since it began" in html
    with organisation_scope(organisation.pk):
        for text, said in (("<b>falls</b>", "negative"), ("rises", "positive")):
            Prediction.objects.create(
                deployment_id=slot.pk,
                version_id=child.pk,
                subject_type="finance.document",
                subject_id=uuid.uuid4(),
                label=said,
                probabilities=[0.8, 0.1, 0.1],
                shadow=True,
                compared={
                    "text": text,
                    "version": str(first.pk),
                    "label": "positive",
                    "probability": 0.6,
                },
            )
    html = page(SLOT)
    assert "50.0\u202f%" in html
    assert "&lt;b&gt;falls" in html
    assert "Shadow started" in html
    # The gate stands before a shadow as before anybody else.
    html = page(f"/models/versions/{child.pk}/deploy/", {"deployment": NAME}, status=422)
    assert "70.0 % against 90.0 %" in html
    html = page(f"{SLOT}shadow/end/", {"reason": "seen"})
    assert "Shadow ended" in html


def test_a_viewer_only_reads(
    sign_in: Callable[[str], Page], versions: list[ModelVersion], organisation: Organisation
) -> None:
    first, _child = versions
    with organisation_scope(organisation.pk):
        services.version_promote(version=first, actor=ACTOR)
    page = sign_in("viewer")
    assert "<button" not in page(f"{SLOT}gate/").partition('id="checks"')[2].partition("</form>")[0]
    html = page(f"/models/versions/{first.pk}/")
    assert f"/models/versions/{first.pk}/gate/" not in html
    assert 'id="shadow"' not in page(SLOT)
    for path in (
        f"/models/versions/{first.pk}/gate/",
        f"{SLOT}gate/",
        f"{SLOT}shadow/",
        f"{SLOT}shadow/end/",
    ):
        page(path, {}, status=403)


def _defaults() -> dict[str, Any]:
    from rootstock.modelhub import gate

    return gate.effective_policy(None)
