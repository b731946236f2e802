"""In a browser: the checks are made while somebody looks on, and a shadow stands beside what is answered."""

from __future__ import annotations

import csv
import os
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rootstock.jobs import runner
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.modelhub import services
from rootstock.modelhub.models import Deployment, ModelVersion, Prediction
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.e2e
NAME = "finance.sentiment"
SCREENSHOTS = os.environ.get("ROOTSTOCK_SCREENSHOTS")


def shot(page: Any, name: str) -> None:
    """Keep a picture for people to look at when ROOTSTOCK_SCREENSHOTS names a directory."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


@pytest.fixture
def versions(  # noqa: PLR0917 - fixtures
    organisation: Organisation,
    web: str,
    artifacts: Path,
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[ModelVersion]:
    """A deployed version and its child; no inference process is needed."""
    from modelhub_helpers import ACTOR, OPTIONS, make_examples, make_snapshot

    from ml_core.registry import Artifact
    from ml_core.training import TrainConfig, train

    with (tmp_path / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((example.text, example.label) for example in make_examples(180))
    values = {"train": tmp_path / "train.csv", "out": tmp_path / "out", "base": str(tiny_base)}
    made = train(TrainConfig.from_mapping(values | OPTIONS)).path

    class Loaded:
        digest = Artifact.open(made).digest

    monkeypatch.setattr("rootstock.modelhub.gate.loads.load_version", lambda *_: Loaded)
    monkeypatch.setattr(
        "rootstock.modelhub.gate.latency.answer_times", lambda *_, **__: [0.012] * 43
    )
    found: list[ModelVersion] = []
    with organisation_scope(organisation.pk):
        for number, name in enumerate(("headlines", "more headlines")):
            path = f"versions/{number}"
            shutil.copytree(made, artifacts / path)
            version = services.version_register(
                name=NAME,
                artifact_path=path,
                actor=ACTOR,
                snapshot=make_snapshot(name, 90 + 30 * number),
                parent=found[0] if found else None,
                metrics={"test": {"headline": "macro_f1", "macro_f1": 0.94, "count": 12}},
            )
            found.append(version)
        services.version_promote(version=found[0], actor=ACTOR)
    return found


def test_the_checks_are_made_while_somebody_looks_on(
    organisation: Organisation, versions: list[ModelVersion], open_page: Callable[..., Any]
) -> None:
    from django.db import connections

    _first, child = versions
    page = open_page(f"/models/versions/{child.pk}/")
    page.get_by_text("The gate has not been asked yet").wait_for()
    page.get_by_role("button", name="Make the checks").press("Enter")
    page.locator("#gate-bar").wait_for()
    assert page.locator("#gate-phase").inner_text() == "Waiting for a free worker"
    assert page.locator("#gate-cancel").is_visible()
    shot(page, "gate-running")

    def work() -> None:
        try:
            with organisation_scope(organisation.pk):
                job = jobs.job_claim(Job.objects.get(kind="modelhub.gate").pk)
            assert job is not None
            runner.execute(job)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        # The verdicts come without anybody reloading the page.
        page.locator("#gate").get_by_text("measured anew").wait_for(timeout=120_000)
    finally:
        thread.join()
    assert page.locator("#gate-bar").count() == 0
    page.locator("#gate summary").first.click()
    shot(page, "gate-verdicts")
    for name, options in {
        "gate-dark": {"color_scheme": "dark"},
        "gate-narrow": {"width": 360, "height": 700},
        "gate-zh": {"locale": "zh-CN"},
    }.items():
        other = open_page(f"/models/versions/{child.pk}/", **options)
        if "width" in options:
            assert other.evaluate("document.documentElement.scrollWidth") <= 360
        shot(other, name)
    page.get_by_role("link", name=f"What {NAME} asks for").click()
    page.get_by_role("heading", name=f"What {NAME} asks for").wait_for()
    field = page.get_by_label("Largest size (MB)")
    field.fill("100")
    field.press("Enter")
    page.get_by_text("The next checks of this deployment ask for this.").wait_for()
    assert page.get_by_label("Largest size (MB)").input_value() == "100"
    shot(page, "gate-policy")
    narrow = open_page(f"/models/deployments/{NAME}/gate/", width=360, height=700)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 360
    shot(narrow, "gate-policy-narrow")


def test_a_shadow_beside_what_is_answered(
    organisation: Organisation, versions: list[ModelVersion], open_page: Callable[..., Any]
) -> None:
    from modelhub_helpers import ACTOR

    first, child = versions
    with organisation_scope(organisation.pk):
        slot = Deployment.objects.get()
        services.shadow_start(deployment=slot, version=child, actor=ACTOR, reason="new data")
        for number in range(12):
            Prediction.objects.create(
                deployment_id=slot.pk,
                version_id=child.pk,
                subject_type="finance.document",
                subject_id=uuid.uuid4(),
                label="negative" if number < 3 else "positive",
                probabilities=[0.8, 0.1, 0.1],
                shadow=True,
                compared={
                    "text": f"The company publishes report {number} on a strong quarter",
                    "version": str(first.pk),
                    "label": "positive",
                    "probability": 0.61,
                },
            )
    page = open_page(f"/models/deployments/{NAME}/")
    page.get_by_text("75.0\u202f%").wait_for()
    assert page.locator("#shadow tbody tr").count() == 3
    shot(page, "shadow")
    shot(open_page(f"/models/deployments/{NAME}/", color_scheme="dark"), "shadow-dark")
    narrow = open_page(f"/models/deployments/{NAME}/", width=360, height=700)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 360
    shot(narrow, "shadow-narrow")
    page.get_by_role("button", name="End the shadow").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("seen enough")
    page.get_by_role("dialog").get_by_role("button", name="End the shadow").click()
    page.get_by_text("The shadow is asked no longer.").wait_for()
    page.get_by_role("button", name="Start the shadow").wait_for()
    shot(page, "shadow-ended")
