"""The page of an alert in a browser: ignored, it goes up its chain; taken, it stops; all without a reload."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apps.finance_sentiment.models import Alert, Notification
from apps.finance_sentiment.services.alerting.chains import StepInput, chain_save
from apps.finance_sentiment.services.alerting.routes import route_save
from apps.finance_sentiment.services.alerts import Change, changes_announce
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Membership
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from test_live_page import page, processes, wire  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def alert(organisation: Any, page: Any) -> Alert:  # noqa: F811
    """An alert whose chain tells the reader, waits, and tells managers."""
    with organisation_scope(organisation.pk):
        reader = Membership.objects.get().user_id
        steps = [
            StepInput("person", user_id=reader),
            StepInput("wait", wait_seconds=3),
            StepInput("role", role="analyst"),
            StepInput("wait", wait_seconds=3600),
            StepInput("role", role="manager"),
        ]
        chain = chain_save(chain=None, actor=SYSTEM, name="Desk", steps=steps)
        route_save(route=None, actor=SYSTEM, name="All", chain_id=chain.pk, group_wait_seconds=2)
        now = datetime.now(UTC)
        alert = Alert.objects.create(
            key="energy",
            opened_at=now,
            last_seen_at=now,
            evidence={"latest": {"observed": 12, "expected": 1.5}, "series": []},
        )
        changes_announce(changes=[Change("opened", alert)])
    return alert


def test_an_alert_that_is_ignored_goes_on_and_stops_when_taken(
    page: Any,  # noqa: F811
    alert: Alert,
    organisation: Any,
) -> None:
    page.goto(page.url.split("/public-opinion/")[0] + f"/public-opinion/alerts/{alert.pk}/")
    log = page.locator("#alert-log")
    log.get_by_text("Told").nth(1).wait_for()  # the first time, here and by e-mail
    log.get_by_text("Told").nth(3).wait_for()  # nobody took it
    page.fill("#acknowledge textarea", "calling the desk")
    page.get_by_role("button", name="Acknowledge").click()
    log.get_by_text("calling the desk").wait_for()
    page.locator("#alert-state", has_text="Acknowledged").wait_for()
    page.select_option("#silence select", "60")
    page.fill("#silence input[name=reason]", "planned")
    page.get_by_role("button", name="Silence", exact=True).click()
    log.get_by_text("Muted").wait_for()
    page.get_by_role("button", name="End it").click()
    page.locator("#alert-state", has_text="Resolved").wait_for()
    with organisation_scope(organisation.pk):
        assert Notification.objects.filter(reason="firing", medium="in_app").count() == 2
