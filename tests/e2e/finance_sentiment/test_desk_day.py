"""A day at the desk in a browser, in two languages: a rule tried on history, a surge taken, another one ignored."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

from apps.finance_sentiment.inference import surge_defaults
from apps.finance_sentiment.models import Alert, Document, Rule
from apps.finance_sentiment.services.alerting.chains import StepInput, chain_save
from apps.finance_sentiment.services.alerting.routes import route_save
from apps.finance_sentiment.services.rules import rule_create, rule_update, rules_get_or_create
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Membership
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from test_live_page import PATIENCE_MS, page, processes, wire  # noqa: F401  (fixtures)

from tests.integration.finance_sentiment.test_surges import calm, storm

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


def about(subject: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same headlines of another topic."""
    return [
        {
            **row,
            "external_id": f"{subject}-{row['external_id']}",
            "title": row["title"].replace(" oil ", f" {subject} "),
        }
        for row in rows
    ]


@pytest.fixture
def post(processes: str, organisation: Any, make_key: Callable[..., str]) -> Callable[..., None]:  # noqa: F811
    """Posts rows over REST, as a source does."""
    key = make_key(organisation)

    def send(rows: list[dict[str, Any]]) -> None:
        documents = [
            {"source": "Wire", **row, "published_at": row["published_at"].isoformat()}
            for row in rows
        ]
        answer = httpx.post(
            f"{processes}/api/v1/finance/documents",
            json={"documents": documents},
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text

    return send


@pytest.fixture
def scored(organisation: Any) -> Callable[[], None]:
    """Waits until nothing is left to score."""

    def wait() -> None:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while True:
            with organisation_scope(organisation.pk):
                if not Document.objects.filter(status="pending").exists():
                    return
            assert time.monotonic() < deadline
            time.sleep(0.2)

    return wait


def test_from_a_rule_to_the_end_of_its_alerts(
    page: Any,  # noqa: F811
    organisation: Any,
    post: Callable[..., None],
    scored: Callable[[], None],
) -> None:
    site = page.url.split("/public-opinion/")[0] + "/public-opinion/"
    with organisation_scope(organisation.pk):
        person = Membership.objects.get().user
        for rule in rules_get_or_create():
            rule_update(rule=rule, actor=SYSTEM, values={"enabled": False})
        fast = {"bucket_seconds": 5, **surge_defaults(5)}
        rule_create(
            actor=SYSTEM, values={"name": "Banks", "scope": "topic", "key": "credit", **fast}
        )
        steps = [
            StepInput("person", user_id=person.pk),
            StepInput("wait", wait_seconds=3),
            StepInput("role", role="analyst"),
        ]
        chain = chain_save(chain=None, actor=SYSTEM, name="Desk", steps=steps)
        route_save(
            route=None, actor=SYSTEM, name="All", chain_id=chain.pk, group_wait_seconds=0,
            group_by=["subject"],
        )  # fmt: skip
    # A calm while, in which there was one surge about oil.
    began = datetime.now(UTC) - timedelta(minutes=13)
    post(calm(began, 12.5))
    post(about("bank", calm(began, 12.5, 20_000)))
    post(storm(began + timedelta(minutes=6), 40, 9000))
    scored()

    # A rule is made, tried on the history while it is made.
    page.goto(f"{site}rules/new/")
    page.fill("[name=name]", "Surges")
    page.select_option("[name=bucket_seconds]", "5")
    page.fill("[name=key]", "energy")
    page.click("#rule-defaults")
    page.locator("#rule-says", has_text="It would have opened one alert.").wait_for()
    page.locator("#rule-alerts tr", has_text="Energy").wait_for()
    page.get_by_role("button", name="Save the rule").click()
    page.wait_for_url(f"{site}rules/")
    with organisation_scope(organisation.pk):
        rule = Rule.objects.get(name="Surges")
        assert (rule.bucket_seconds, rule.key) == (5, "energy")

    # The surge comes; who looks at the board sees its alert and takes it.
    page.goto(site)
    now = datetime.now(UTC)
    post(storm(now - timedelta(seconds=20), 20))
    pinned = page.locator(".live-alert", has_text="Energy")
    pinned.wait_for()
    pinned.get_by_role("button", name="Acknowledge").click()
    pinned.get_by_text("Taken by").wait_for()

    # Another one, read in Chinese: nobody takes it, so it goes up the chain, until somebody ends it.
    page.context.add_cookies(
        [{"name": settings.LANGUAGE_COOKIE_NAME, "value": "zh-hans", "url": site}]
    )
    now = datetime.now(UTC)
    post(about("bank", storm(now - timedelta(seconds=20), 20, 40_000)))
    page.goto(site)
    with translation.override("zh-hans"):
        credit, told, end = gettext("Credit and banking"), gettext("Told"), gettext("End it")
        over = gettext("Resolved")
    link = page.locator(".live-alert", has_text=credit).get_by_role("link").first
    link.click()
    log = page.locator("#alert-log")
    log.get_by_text(told).nth(3).wait_for()  # in the application and by e-mail, then once more
    page.get_by_role("button", name=end).click()
    page.locator("#alert-state", has_text=over).wait_for()
    with organisation_scope(organisation.pk):
        states = dict(
            Alert.objects.filter(key__in=["energy", "credit"]).values_list("key", "state")
        )
    assert states["credit"] == "resolved"
    assert states["energy"] in {"acknowledged", "resolved"}
