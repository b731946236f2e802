"""A market for the invented companies: closing prices, and a portfolio of some of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal

from django.utils import timezone

from apps.finance_sentiment.models import Entity, Instrument, Portfolio, Price
from apps.finance_sentiment.services.portfolios import (
    HoldingInput,
    holdings_put,
    portfolio_save,
)
from apps.finance_sentiment.services.prices import IncomingPrice, prices_upsert
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

Write = Callable[[str], object]

EXCHANGE = "DEMO"
DAYS = 180
# Of a day, as a part of the price.
_VOLATILITY = 0.014
_WEIGHTS = (30.0, 25.0, 20.0, 15.0, 10.0)


def invented_prices(symbol: str, last: date, days: int = DAYS) -> Iterator[IncomingPrice]:
    """A random walk over the weekdays of the `days` up to `last`; the same at every call."""
    rng = random.Random(f"price {symbol}")
    close = rng.uniform(8.0, 180.0)
    usual = rng.randint(200_000, 4_000_000)
    for back in range(days, -1, -1):
        day = last - timedelta(days=back)
        if day.weekday() >= 5:
            continue
        close *= 1.0 + rng.gauss(0.0003, _VOLATILITY)
        volume = int(usual * rng.lognormvariate(0.0, 0.35))
        yield IncomingPrice(day, Decimal(f"{close:.2f}"), volume)


def prices_setup(organisation: Organisation, write: Write) -> None:
    """Half a year of closing prices for each listing on the invented exchange."""
    yesterday = timezone.now().date() - timedelta(days=1)
    with organisation_scope(organisation.pk):
        if Price.objects.exists():
            return
        listings = list(Instrument.objects.filter(exchange=EXCHANGE).order_by("symbol"))
        for listing in listings:
            prices = invented_prices(listing.symbol, yesterday)
            prices_upsert(instrument=listing, prices=prices, actor=SYSTEM)
    write(f"prices of {len(listings)} companies stored")


def portfolio_setup(organisation: Organisation, write: Write) -> None:
    """A few of the listed companies as a portfolio."""
    with organisation_scope(organisation.pk):
        if Portfolio.objects.exists():
            return
        held = Entity.objects.filter(instruments__exchange=EXCHANGE).order_by("key")
        holdings = [
            HoldingInput(entity=entity.pk, weight=weight)
            for entity, weight in zip(held, _WEIGHTS, strict=False)
        ]
        if not holdings:
            return
        portfolio = portfolio_save(
            portfolio=None,
            actor=SYSTEM,
            values={"name": "Core holdings", "kind": Portfolio.Kind.PORTFOLIO},
        )
        holdings_put(portfolio=portfolio, holdings=holdings, actor=SYSTEM)
    write(f"portfolio of {len(holdings)} companies made")
