"""The board in a browser: one screen that says what moves, and a company's price beside its sentiment."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.finance_sentiment.models import Alert, Document, Entity, Instrument, TimeBucket
from apps.finance_sentiment.services.buckets import WIDTHS, bucket_start
from apps.finance_sentiment.services.prices import IncomingPrice, prices_upsert
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from test_live_page import page, processes, wire  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

TOPICS = ("energy", "credit", "markets", "mergers", "technology", "earnings")


def told(news: Iterable[tuple[datetime, str, str, int, int]]) -> None:
    """(time, kind, key, stories, negative ones), in the buckets of every width."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for at, kind, key, stories, negative in news:
        for width in WIDTHS:
            bucket = (width, bucket_start(at, width), kind, key)
            counts[*bucket, "stories"] += stories
            counts[*bucket, "stories_negative"] += negative
    TimeBucket.objects.bulk_create(
        TimeBucket(
            width=width,
            start=start,
            kind=kind,
            key=key,
            stories=count,
            documents=count,
            stories_negative=counts[width, start, kind, key, "stories_negative"],
            documents_negative=counts[width, start, kind, key, "stories_negative"],
        )
        for (width, start, kind, key, column), count in counts.items()
        if column == "stories"
    )


@pytest.fixture
def entity(organisation: Any) -> Entity:
    """A desk's afternoon: quiet but for energy and one company, which has a price."""
    now = datetime.now(UTC)
    with organisation_scope(organisation.pk):
        entity = Entity.objects.create(key="northlight", name="Northlight Oil")
        listing = Instrument.objects.create(
            entity=entity, symbol="NLO", exchange="XNYS", currency="USD"
        )
        Document.objects.bulk_create(
            Document(
                external_id=str(n),
                source="Ledger Wire",
                title=f"Northlight oil output falls for the {n}. day in a row",
                published_at=now - timedelta(minutes=4 * n),
                received_at=now,
                status=Document.Status.SCORED,
                sentiment="negative",
                sentiment_probabilities={"negative": 0.9, "neutral": 0.1, "positive": 0.0},
                topics=[TOPICS[n % len(TOPICS)]],
            )
            for n in range(90)
        )
        news = []
        for n in range(0, 300, 5):
            at = now - timedelta(minutes=n)
            for place, topic in enumerate(TOPICS):
                surge = topic == "energy" and n < 60
                counts = (20, 16) if surge else (2 + place % 3, place % 2)
                news.append((at, "topic", topic, *counts))
            news.append((at, "entity", str(entity.pk), *((12, 9) if n < 60 else (1, 0))))
            news.append((at, "all", "", 30, 10))
        told(news)
        for key in ("energy", "credit", "markets"):
            Alert.objects.create(
                key=key,
                opened_at=now,
                last_seen_at=now,
                evidence={"latest": {"observed": 12, "expected": 1.5, "share": 0.8}},
            )
        prices_upsert(
            instrument=listing,
            prices=[
                IncomingPrice((now - timedelta(days=n)).date(), Decimal(70 - n % 7))
                for n in range(30)
            ],
            actor=SYSTEM,
        )
    return entity


def picture(page: Any, name: str) -> None:  # noqa: F811
    """Kept where somebody asks for it."""
    if folder := os.environ.get("ROOTSTOCK_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png")


def test_the_board_is_one_screen_and_leads_to_what_is_behind(page: Any, entity: Entity) -> None:  # noqa: F811
    page.set_viewport_size({"width": 1400, "height": 900})
    page.goto(page.url)
    page.locator(".headline").nth(80).wait_for(state="attached")
    page.locator("#heat canvas").first.wait_for()
    first = page.locator("#movers > li").first
    first.get_by_text("Energy").wait_for()
    assert "usual" in first.inner_text()
    page.locator("#movers").get_by_text("Northlight Oil").wait_for()
    assert page.locator(".live-alert").count() == 3
    picture(page, "board")
    assert page.evaluate("document.documentElement.scrollHeight - innerHeight") < 8
    page.emulate_media(color_scheme="dark")
    picture(page, "board-dark")

    heat = page.locator("#heat")
    heat.get_by_role("button", name="Show as a table").click()
    assert heat.locator("tbody tr").count() > 10
    heat.get_by_role("button", name="Show as a table").click()
    page.locator("#heat .chart-plot").click(position={"x": 300, "y": 12})
    page.wait_for_url("**topic=**")

    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture(page, "board-narrow")
    page.set_viewport_size({"width": 1400, "height": 900})

    page.goto(page.url.split("?")[0])
    page.locator("#movers").get_by_role("link", name="Northlight Oil").click()
    page.locator("#price-chart canvas").first.wait_for()
    page.locator("#price-chart").get_by_text("XNYS:NLO closed at 70").wait_for()
    page.locator("#price-chart").scroll_into_view_if_needed()
    picture(page, "price")
