"""In a browser: the curve grows while the model trains, a label is changed by keyboard, a page fits a phone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rootstock.modelhub import services
from rootstock.modelhub.models import LabelChange, TrainingRun
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.e2e
# Playwright's own event loop makes Django refuse database calls in the test's thread.
SCREENSHOTS = os.environ.get("ROOTSTOCK_SCREENSHOTS")


def shot(page: Any, name: str) -> None:
    """Keep a picture for people to look at when ROOTSTOCK_SCREENSHOTS names a directory."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


@pytest.fixture
def run(organisation: Organisation, web: str, tiny_base: Path) -> TrainingRun:
    from modelhub_helpers import ACTOR, OPTIONS, make_snapshot

    with organisation_scope(organisation.pk):
        started = services.training_start(
            snapshot=make_snapshot(count=240),
            name="finance.sentiment",
            actor=ACTOR,
            queue_job=False,
        )
        started.config = OPTIONS | {
            "base": str(tiny_base),
            "epochs": 12,
            "batch_size": 8,
            "early_stopping_patience": 0,
        }
        started.save()
    return started


def test_the_curve_grows_while_the_model_trains(
    run: TrainingRun, open_page: Callable[..., Any]
) -> None:
    from django.db import connections

    from rootstock.modelhub.runs import training_run_now

    page = open_page(f"/models/runs/{run.pk}/")
    page.get_by_text("No step has been made yet.").wait_for()
    assert page.locator("#run-phase").inner_text() == "Waiting for a free worker"

    def train() -> None:
        try:
            training_run_now(run, lambda *_: None)
        finally:
            connections.close_all()

    thread = threading.Thread(target=train)
    thread.start()
    try:
        page.get_by_text("Loss went from").wait_for(timeout=60_000)
        page.locator("#run-quality").get_by_text("Best macro F1").wait_for(timeout=60_000)
        first = page.locator("#run-loss .chart-says").inner_text()
        page.wait_for_function(
            "text => document.querySelector('#run-loss .chart-says')?.textContent !== text",
            arg=first,
            timeout=60_000,
        )
        assert (
            int(
                page.locator("#run-bar").get_attribute("value")
                or page.evaluate("document.querySelector('#run-bar').value")
            )
            >= 7
        )
        shot(page, "run-live")
        # The end comes without anybody reloading the page.
        page.get_by_role("link", name="finance.sentiment v1").wait_for(timeout=120_000)
    finally:
        thread.join()
    assert page.get_by_text("Succeeded").first.is_visible()
    page.locator("#run-quality [data-chart=table]").click()
    assert page.locator("#run-quality tbody tr").count() == 12
    shot(page, "run-done")
    page.get_by_role("link", name="finance.sentiment v1").click()
    page.get_by_role("heading", name="What is taken for what").wait_for()
    shot(page, "version")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Deploy").first.click()
    assert (
        page.get_by_role("dialog").get_by_label("Deployment").input_value() == "finance.sentiment"
    )


def test_a_label_is_changed_by_keyboard(
    organisation: Organisation, web: str, open_page: Callable[..., Any]
) -> None:
    from modelhub_helpers import make_dataset

    with organisation_scope(organisation.pk):
        dataset = make_dataset(count=30)
    page = open_page(f"/models/data-sets/{dataset.pk}/")
    field = page.locator(".example-label input").first
    before = field.input_value()
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("mixed")
    page.keyboard.press("Enter")
    page.get_by_text(f"was “{before}”").wait_for()
    assert field.input_value() == "mixed"
    with organisation_scope(organisation.pk):
        change = LabelChange.objects.get()
        assert (change.from_label, change.to_label) == (before, "mixed")
    shot(page, "dataset")
    narrow = open_page(
        f"/models/data-sets/{dataset.pk}/", width=360, height=700, color_scheme="dark"
    )
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 360
    shot(narrow, "dataset-narrow-dark")
