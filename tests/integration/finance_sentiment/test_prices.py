"""Prices of listings: files, REST, and the entity's page that shows them beside the sentiment."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.finance_sentiment.models import Entity, Instrument, Price, TimeBucket
from apps.finance_sentiment.selectors.prices import sentiment_and_price
from apps.finance_sentiment.services.prices import prices_import
from rootstock.common.actors import SYSTEM
from rootstock.common.line_files import FileRefused
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(organisation: Organisation, make_user: Callable[..., Any]) -> Client:
    client = Client()
    client.force_login(make_user(organisation, "manager", "ada@example.com"))
    return client


@pytest.fixture
def listing(organisation: Organisation) -> Instrument:
    """A company with a listing."""
    with organisation_scope(organisation.pk):
        entity = Entity.objects.create(key="harbour", name="Harbour Trust")
        return Instrument.objects.create(entity=entity, symbol="HBT", exchange="XLON")


def bring(text: str, listing: Instrument | None, name: str = "prices.csv") -> Any:
    return prices_import(
        file=io.BytesIO(text.encode()), name=name, instrument=listing, actor=SYSTEM
    )


def kept() -> list[tuple[str, float, int | None]]:
    rows = Price.objects.order_by("instrument_id", "day").values_list("day", "close", "volume")
    return [(day.isoformat(), float(close), volume) for day, close, volume in rows]


def test_a_file_is_taken_and_its_bad_rows_are_named(
    listing: Instrument, scope: Organisation
) -> None:
    text = (
        "Date,Open,Close/Last,Volume\n"
        "2026-03-04,70,71.35,1204500\n2026-03-05,71,zero,1\n2026-03-06,70,70.9,\nyesterday,1,1,1\n"
    )
    report = bring(text, listing)
    assert report.taken.as_json() == {"created": 2, "changed": 0, "same": 0}
    assert [(row.line, row.column) for row in report.bad_rows] == [(3, "close"), (5, "day")]
    assert kept() == [("2026-03-04", 71.35, 1_204_500), ("2026-03-06", 70.9, None)]

    again = bring("day,close,volume\n2026-03-04,71.35,1204500\n2026-03-06,72,5\n", listing)
    assert again.taken.as_json() == {"created": 0, "changed": 1, "same": 1}
    assert kept()[-1] == ("2026-03-06", 72.0, 5)


def test_a_file_of_many_listings_goes_by_symbol(listing: Instrument, scope: Organisation) -> None:
    other = Entity.objects.create(key="oil", name="Northlight Oil")
    for exchange in ("XNYS", "XHKG"):
        Instrument.objects.create(entity=other, symbol="NLO", exchange=exchange)
    report = bring(
        "symbol,exchange,day,close\nhbt,,2026-03-04,7\nNLO,XNYS,2026-03-04,8\nNLO,,2026-03-04,9\n"
        "WHO,XNYS,2026-03-04,1\n,,2026-03-04,1\n",
        None,
    )
    assert report.taken.created == 2
    assert [(row.line, row.column) for row in report.bad_rows] == [
        (4, "exchange"), (5, "symbol"), (6, "symbol"),
    ]  # fmt: skip
    assert Price.objects.get(instrument=listing).close == 7


def test_a_file_without_the_columns_is_refused(listing: Instrument, scope: Organisation) -> None:
    with pytest.raises(FileRefused, match="close"):
        bring("day,price\n2026-03-04,1\n", listing)


def test_rest_stores_and_lists(listing: Instrument, signed_in: Client) -> None:
    address = f"/api/v1/finance/instruments/{listing.pk}/prices"
    prices = [{"day": f"2026-03-0{day}", "close": f"{70 + day}.5"} for day in range(2, 6)]

    def post(rows: list[dict[str, str]]) -> Any:
        body = json.dumps({"prices": rows})
        return signed_in.post(address, body, content_type="application/json")

    answer = post(prices)
    assert (answer.status_code, answer.json()["created"]) == (200, 4)
    answer = post(prices[:2])
    assert answer.json() == {"created": 0, "changed": 0, "same": 2}
    page = signed_in.get(f"{address}?since=2026-03-03&page_size=2").json()
    assert [row["day"] for row in page["results"]] == ["2026-03-05", "2026-03-04"]
    assert page["results"][0]["close"] == "75.500000"
    second = signed_in.get(page["next"]).json()
    assert [row["day"] for row in second["results"]] == ["2026-03-03"]

    bad = [prices[0], {"day": "9999-01-01", "close": "1"}, {"day": "2026-03-04", "close": "-1"}]
    answer = post(bad)
    assert answer.status_code == 422
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == ["/prices/1/day", "/prices/2/close"]


def test_the_page_imports_a_file_and_names_bad_rows(
    listing: Instrument, organisation: Organisation, signed_in: Client
) -> None:
    address = f"/public-opinion/entities/{listing.entity_id}/prices/"
    assert "No price of it is kept yet" in signed_in.get(address).content.decode()
    file = io.BytesIO(b"day,close\n2026-03-04,71.35\n2026-03-05,none\n")
    file.name = "prices.csv"
    answer = signed_in.post(address, {"instrument": str(listing.pk), "file": file})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "71.35" in page and "is no number" in page and "1 new" in page
    file = io.BytesIO(b"%PDF")
    file.name = "prices.pdf"
    answer = signed_in.post(address, {"instrument": str(listing.pk), "file": file})
    assert answer.status_code == 422

    with organisation_scope(organisation.pk):
        bare = Entity.objects.create(key="bare", name="Bare")
    page = signed_in.get(f"/public-opinion/entities/{bare.pk}/prices/").content.decode()
    assert "It has no listing yet" in page


def test_who_may_only_read_imports_nothing(
    listing: Instrument, organisation: Organisation, make_user: Callable[..., Any]
) -> None:
    client = Client()
    client.force_login(make_user(organisation, "viewer", "eve@example.com"))
    address = f"/public-opinion/entities/{listing.entity_id}/prices/"
    file = io.BytesIO(b"day,close\n2026-03-04,71.35\n")
    file.name = "prices.csv"
    answer = client.post(address, {"instrument": str(listing.pk), "file": file})
    assert answer.status_code == 403
    with organisation_scope(organisation.pk):
        assert not Price.objects.exists()


def test_sentiment_stands_beside_the_price_day_by_day(
    listing: Instrument, organisation: Organisation, signed_in: Client
) -> None:
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    days = [(noon - timedelta(days=n)).date().isoformat() for n in (2, 1)]
    with organisation_scope(organisation.pk):
        for n, (negative, positive) in ((2, (3, 1)), (1, (0, 2))):
            TimeBucket.objects.create(
                kind="entity",
                key=str(listing.entity_id),
                start=noon - timedelta(days=n),
                width=3600,
                documents=negative + positive,
                documents_negative=negative,
                documents_positive=positive,
            )
        bring(f"day,close\n{days[0]},71\n{days[1]},70\n", listing)
        entity = Entity.objects.get(pk=listing.entity_id)
        found = sentiment_and_price(
            entity=entity, instrument=listing, start=noon - timedelta(days=1), end=noon
        )
    assert len(found) == 31
    by_day = {each.day.isoformat(): each for each in found}
    assert [(by_day[d].mean, by_day[d].close, by_day[d].documents) for d in days] == [
        (-0.5, 71.0, 4), (1.0, 70.0, 2),
    ]  # fmt: skip
    assert found[0].mean is None and found[0].close is None
    page = signed_in.get(f"/public-opinion/entities/{listing.entity_id}/?range=30d")
    assert 'id="price-chart"' in page.content.decode()
