"""In a browser: the page of a deployment draws what it lives through, in both themes and on a small screen."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from rootstock.modelhub.models import (
    Alarm,
    Deployment,
    DriftWindow,
    ModelVersion,
    Outcome,
    TrafficBucket,
)
from rootstock.modelhub.monitoring.tallies import Tally
from rootstock.modelhub.services.traffic import stretch_start
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
def lived(organisation: Organisation, web: str) -> Deployment:
    """A day of a deployment with a canary and a shadow, an alarm and drift."""
    author = {"actor_kind": "user", "actor_id": "1", "actor_label": "Ada"}
    labels = ["negative", "neutral", "positive"]
    now = timezone.now()
    generator = random.Random(3)

    def tally(count: int, *, confidence: float, negative: float, shadow: bool = False) -> Tally:
        made = Tally(failed=generator.choice([0, 0, 0, 2]))
        for _ in range(count):
            label = "negative" if generator.random() < negative else generator.choice(labels)
            made.add(
                label=label,
                confidence=min(0.999, max(0.34, generator.gauss(confidence, 0.12))),
                milliseconds=generator.lognormvariate(4, 0.5),
                language="" if shadow else generator.choice(["en", "en", "en", "zh"]),
                length=generator.randint(20, 200),
                agreed=generator.random() < 0.9 if shadow else None,
            )
        return made

    with organisation_scope(organisation.pk):
        versions = [
            ModelVersion.objects.create(
                name=NAME, number=number, task="text-classification", labels=labels,
                languages=["en", "zh"], base="packaged", artifact_path=f"versions/{number}",
                digest="0" * 64, size_bytes=1, **author,
            )
            for number in (1, 2, 3)
        ]  # fmt: skip
        slot = Deployment.objects.create(
            name=NAME, task="text-classification", version=versions[0], canary=versions[1],
            canary_share=0.1, canary_since=now - timedelta(hours=8), shadow=versions[2],
            shadow_since=now - timedelta(hours=20),
        )  # fmt: skip
        for step in range(96):
            at = stretch_start(now - timedelta(minutes=15 * (95 - step)))
            wave = 1 + math.sin(step / 12)
            rows = [
                (
                    versions[0],
                    "live",
                    tally(int(20 * wave) + 5, confidence=0.85 - step / 1000, negative=step / 300),
                )
            ]
            if step > 16:
                rows.append(
                    (versions[2], "shadow", tally(8, confidence=0.8, negative=0.1, shadow=True))
                )
            if step > 64:
                rows.append((versions[1], "canary", tally(4, confidence=0.88, negative=0.1)))
            TrafficBucket.objects.bulk_create(
                TrafficBucket(
                    deployment_id=slot.pk, version_id=version.pk, role=role, start=at, width=300,
                    **each.columns(),
                )
                for version, role, each in rows
            )  # fmt: skip
        for step in range(10):
            at = now - timedelta(hours=22 - 2 * step)
            drifted = step > 6

            def signal(name: str, effect: float, moved: bool) -> dict[str, Any]:
                p_value = 0.0003 if moved else generator.uniform(0.05, 1)
                categories = [["zh", 0.1, 0.31]] if name == "language" else []
                return {
                    "signal": name, "p_value": p_value, "effect": effect, "drifted": moved,
                    "moved": categories,
                }  # fmt: skip

            text = {"text": "央行宣布下调存款准备金率", "label": "positive"}
            DriftWindow.objects.create(
                deployment=slot, version=versions[0], rows=500, started_at=at, ended_at=at, drifted=drifted,
                signals=[
                    signal("text", 0.41, drifted), signal("language", 0.2, drifted), signal("label", 0.1, False),
                ],
                examples=[text | {"confidence": 0.61, "language": "zh"}] if drifted else [],
            )  # fmt: skip
        for step in range(60):
            Outcome.objects.create(
                deployment_id=slot.pk, version_id=versions[0].pk, subject_type="finance.document",
                subject_id=f"00000000-0000-7000-8000-{step:012d}", answered="positive",
                actual="positive" if step % 8 else "negative", answered_at=now - timedelta(hours=step % 20),
            )  # fmt: skip
        found = {"value": 2, "limit": 2, "count": 10}
        Alarm.objects.create(
            deployment=slot, version=versions[0], rule="drift", opened_at=now - timedelta(hours=2),
            opening=found, worst=found, latest=found,
        )  # fmt: skip
    return slot


def test_the_page_draws_what_the_deployment_lives_through(
    lived: Deployment, open_page: Callable[..., Any]
) -> None:
    page = open_page("/models/monitoring/", color_scheme="light")
    page.get_by_role("link", name=NAME).first.click()
    page.wait_for_selector("#monitor-drift canvas")
    assert page.locator("figure.chart canvas").count() == 8
    assert "windows have drifted" in page.locator("#monitor-drift .chart-says").inner_text()
    page.locator("#monitor-answers [data-chart=table]").click()
    assert page.locator("#monitor-answers .chart-table tbody tr").count() > 50
    page.locator("#monitor-answers [data-chart=table]").click()
    page.wait_for_timeout(500)
    shot(page, "monitor-light")
    page.get_by_role("button", name="Take it back").first.click()
    assert page.locator("dialog[open]").count() == 1


def test_in_the_dark_on_a_small_screen(lived: Deployment, open_page: Callable[..., Any]) -> None:
    page = open_page(f"/models/monitoring/{NAME}/", color_scheme="dark", width=1280)
    page.wait_for_selector("#monitor-drift canvas")
    page.wait_for_timeout(500)
    shot(page, "monitor-dark")
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_timeout(300)
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, "nothing makes the page scroll sideways"
    shot(page, "monitor-small")
    page.goto(page.url + "rules/")
    assert page.get_by_text("Guardrails of a canary").is_visible()
    shot(page, "monitor-rules")
