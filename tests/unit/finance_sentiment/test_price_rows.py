"""Rows of price files: what is read, and what is refused by name."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance_sentiment.services.prices import IncomingPrice, PriceRefused, price_parse


@pytest.mark.parametrize(
    "text",
    ["2026-03-04", "2026/3/4", "20260304", "2026.03.04", " 2026-03-04 ", "2026-03-04 00:00:00"],
)
def test_days_as_files_write_them(text: str) -> None:
    row = {"day": text, "close": "1,234.50", "volume": "1,204,500"}
    assert price_parse(row) == IncomingPrice(date(2026, 3, 4), Decimal("1234.5"), 1_204_500)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({}, "day"),
        ({"day": "March 4", "close": "1"}, "day"),
        ({"day": "2026-02-30", "close": "1"}, "day"),
        ({"day": "2026-3", "close": "1"}, "day"),
        ({"day": "9999-01-01", "close": "1"}, "day"),
        ({"day": "2026-03-04"}, "close"),
        ({"day": "2026-03-04", "close": "0"}, "close"),
        ({"day": "2026-03-04", "close": "-3"}, "close"),
        ({"day": "2026-03-04", "close": "NaN"}, "close"),
        ({"day": "2026-03-04", "close": "1e999999"}, "close"),
        ({"day": "2026-03-04", "close": "0.0000001"}, "close"),
        # A decimal comma could be a thousand times too much.
        ({"day": "2026-03-04", "close": "12,5"}, "close"),
        ({"day": "2026-03-04", "close": "1", "volume": "many"}, "volume"),
        ({"day": "2026-03-04", "close": "1", "volume": "-1"}, "volume"),
        ({"day": "2026-03-04", "close": "1", "volume": "1e40"}, "volume"),
    ],
)
def test_what_is_no_price_is_refused_by_field(row: dict[str, str], field: str) -> None:
    with pytest.raises(PriceRefused) as error:
        price_parse(row)
    assert error.value.field == field


@given(
    st.dates(date(1900, 1, 1), date(2026, 6, 30)),
    st.decimals(Decimal("0.000001"), Decimal(10) ** 11, places=6),
    st.none() | st.integers(0, 2**63 - 1),
)
def test_what_is_written_is_read_back(day: date, close: Decimal, volume: int | None) -> None:
    row = {"day": day.isoformat(), "close": str(close), "volume": volume}
    assert price_parse(row) == IncomingPrice(day, close, volume)


@given(st.fixed_dictionaries(dict.fromkeys(("day", "close", "volume"), st.text(max_size=12))))
def test_any_row_is_a_price_or_refused(row: dict[str, str]) -> None:
    try:
        price = price_parse(row)
    except PriceRefused:
        return
    assert price.close > 0
