"""Search in a browser: words by the keyboard, a facet, a label, and a view kept under a name."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.finance_sentiment.models import Document, DocumentLabel, SavedView
from apps.finance_sentiment.services.indexing import documents_index
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from test_live_page import page, processes, wire  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
NOW = datetime.now(UTC)


@pytest.fixture
def documents(organisation: Any, page: Any) -> None:  # noqa: F811
    """Three scored documents of two sources."""
    with organisation_scope(organisation.pk):
        made = [
            Document.objects.create(
                external_id=str(number), source=source, title=title, language_detected=language,
                published_at=NOW - timedelta(minutes=number), received_at=NOW, scored_at=NOW,
                status="scored", sentiment="negative", sentiment_probabilities={"negative": 0.9},
            )
            for number, (source, language, title) in enumerate(
                [
                    ("Wire", "en", "Northlight recalls heaters"),
                    ("Sun", "en", "Northlight opens a plant"),
                    ("快讯", "zh", "特朗普称提高对韩国关税"),
                ]
            )
        ]  # fmt: skip
        documents_index(document_ids=[each.pk for each in made])


def test_search_is_narrowed_labelled_and_kept(
    page: Any,  # noqa: F811
    organisation: Any,
    documents: None,
) -> None:
    page.goto(page.url.split("/public-opinion/")[0] + "/public-opinion/search/")
    page.locator(".headline").nth(2).wait_for()
    page.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type("northlight")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=northlight*")
    page.locator(".search-why mark", has_text="northlight").nth(1).wait_for()
    page.locator(".search-facets").get_by_role("link", name="Wire").click()
    page.locator(".search-chosen").get_by_text("Wire").wait_for()
    assert page.locator(".headline").count() == 1

    page.locator("h1").click()
    page.keyboard.press("j")
    page.locator("#relabel-sentiment-said", has_text="says Negative (90").wait_for()
    page.keyboard.press("3")
    page.locator("#relabel-sentiment [data-value=positive][aria-pressed=true]").wait_for()
    with organisation_scope(organisation.pk):
        assert DocumentLabel.objects.get().values == ["positive"]

    page.get_by_role("button", name="Views").click()
    page.get_by_label("Keep what is shown as").fill("Northlight")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("Kept as “Northlight”.").wait_for()
    with organisation_scope(organisation.pk):
        assert SavedView.objects.get().query == {"q": "northlight", "source": "Wire"}
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Delete the view Northlight").click()
    page.get_by_text("is no longer kept").wait_for()
