"""A portfolio in a browser: made, filled by searching, and watched by a rule that is chosen from a list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from apps.finance_sentiment.models import Holding, Rule
from apps.finance_sentiment.services.entities import entities_take, entity_parse
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from test_live_page import page, processes, wire  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_portfolio_is_made_filled_and_watched(page: Any, organisation: Any) -> None:  # noqa: F811
    with organisation_scope(organisation.pk):
        named = [entity_parse({"name": name}) for name in ("Orrin Oil", "Harlow Bank")]
        entities_take(entities=named, actor=SYSTEM)
    root = page.url.split("/public-opinion/")[0] + "/public-opinion/"
    page.goto(root + "portfolios/")
    page.get_by_role("link", name="New portfolio").first.click()
    page.get_by_label("Name", exact=True).fill("Energy desk")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Nobody is in it yet.").wait_for()
    page.wait_for_load_state("networkidle")  # what is typed before htmx is there asks for nothing

    page.get_by_role("searchbox", name="Name or symbol").press_sequentially("orr")
    found = page.locator("#found")
    found.get_by_label("Weight of Orrin Oil").fill("2.5")
    found.get_by_role("button", name="Add Orrin Oil").click()
    page.locator("#members").get_by_role("link", name="Orrin Oil").wait_for()
    with organisation_scope(organisation.pk):
        assert Holding.objects.get().weight == 2.5

    page.goto(root + "rules/new/")
    page.locator("select[name=portfolio]").wait_for(state="hidden")
    page.get_by_label("What is watched").select_option("portfolio")
    page.locator("select[name=portfolio]").select_option(label="Energy desk")
    page.locator("input[name=key]").wait_for(state="hidden")
    page.locator("#rule-says", has_text="no stories of it").wait_for()
    page.get_by_label("Name", exact=True).fill("Desk")
    page.get_by_role("button", name="Save the rule").click()
    page.get_by_role("cell", name="Portfolio: Energy desk").wait_for()
    with organisation_scope(organisation.pk):
        assert Rule.objects.get(name="Desk").scope == "portfolio"
