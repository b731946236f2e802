"""The demonstration's market: prices that do not change from run to run, and a portfolio."""

from __future__ import annotations

from datetime import date

import pytest

from apps.finance_sentiment.demo.market import invented_prices, portfolio_setup, prices_setup
from apps.finance_sentiment.demo.setup import entities_setup
from apps.finance_sentiment.models import Holding, Instrument, Portfolio, Price
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope


def test_prices_are_the_same_at_every_call_and_rest_at_weekends() -> None:
    first = list(invented_prices("NORTH", date(2026, 3, 6)))
    assert first == list(invented_prices("NORTH", date(2026, 3, 6)))
    assert first != list(invented_prices("OTHER", date(2026, 3, 6)))
    assert all(price.day.weekday() < 5 and price.close > 0 for price in first)
    assert first[-1].day == date(2026, 3, 6)


@pytest.mark.django_db
def test_the_market_is_made_once(organisation: Organisation) -> None:
    said: list[str] = []
    for _run in range(2):
        entities_setup(organisation, said.append)
        prices_setup(organisation, said.append)
        portfolio_setup(organisation, said.append)
    assert len(said) == 3
    with organisation_scope(organisation.pk):
        priced = Instrument.objects.filter(prices__day__isnull=False).distinct()
        assert priced.count() == Instrument.objects.count() > 5
        assert Price.objects.count() > 100 * priced.count()
        assert Portfolio.objects.get().name == "Core holdings"
        assert Holding.objects.count() == 5
