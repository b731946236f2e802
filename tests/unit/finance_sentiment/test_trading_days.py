"""Trading days: holidays, closes, and days that leave no moment out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_sentiment.trading import (
    DayPlan,
    Hours,
    NoTradingDay,
    markets_known,
    sessions_parse,
    sessions_text,
    sessions_times,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")


def hours(key: str) -> Hours:
    market = markets_known()[key]
    return Hours(
        ZoneInfo(market.time_zone),
        sessions=sessions_times(market.sessions),
        holidays={day: early for day, _name, early in market.holidays},
    )


@pytest.mark.parametrize(
    ("key", "day", "trades"),
    [
        ("cn", date(2026, 2, 13), True),
        ("cn", date(2026, 2, 14), False),  # a Saturday that is a working day elsewhere
        ("cn", date(2026, 2, 23), False),
        ("cn", date(2026, 2, 24), True),
        ("hk", date(2026, 2, 16), True),  # in the morning
        ("hk", date(2026, 2, 17), False),
        ("us", date(2026, 2, 16), False),
        ("us", date(2026, 2, 17), True),
    ],
)
def test_the_lunar_new_year_of_2026(key, day, trades):
    assert hours(key).is_trading_day(day) is trades


def test_no_holiday_of_the_lists_is_on_a_weekend_or_told_twice():
    for market in markets_known().values():
        days = [day for day, _name, _early in market.holidays]
        assert len(days) == len(set(days)), market.key
        assert [day for day in days if day.weekday() > 4] == [], market.key


def test_what_comes_after_the_close_belongs_to_the_next_trading_day():
    plan = DayPlan(SHANGHAI, hours("cn"), at_close=True)
    friday = datetime(2026, 2, 13, 15, 0, tzinfo=SHANGHAI)
    assert plan.day_of(friday - timedelta(seconds=1)).day == date(2026, 2, 13)
    after_the_holidays = plan.day_of(friday)
    assert after_the_holidays.day == date(2026, 2, 24)
    assert after_the_holidays.end - after_the_holidays.start == timedelta(days=11)


def test_an_early_close_ends_the_day_early():
    plan = DayPlan(ZoneInfo("UTC"), hours("hk"), at_close=True)
    eve = plan.day_of(datetime(2026, 2, 16, 3, tzinfo=UTC))
    assert (eve.day, eve.end) == (date(2026, 2, 16), datetime(2026, 2, 16, 4, tzinfo=UTC))


def test_a_day_of_the_clock_is_as_long_as_the_clock_says():
    plan = DayPlan(ZoneInfo("America/New_York"))
    day = plan.day_of(datetime(2026, 3, 8, 12, tzinfo=UTC))
    assert day.end - day.start == timedelta(hours=23)


BEGINNING = datetime(2024, 1, 10, tzinfo=UTC)
MOMENTS = st.integers(0, 40 * 30 * 24 * 60).map(lambda n: BEGINNING + timedelta(minutes=n))


@settings(max_examples=60, deadline=None)
@given(
    key=st.sampled_from(["cn", "hk", "us"]),
    at_close=st.booleans(),
    start=MOMENTS,
    length=st.integers(1, 40),
)
def test_days_follow_each_other_without_gap_or_overlap(key, at_close, start, length):
    plan = DayPlan(SHANGHAI, hours(key), at_close)
    end = start + timedelta(days=length)
    days = plan.days(start, end)
    assert days[0].start <= start < days[0].end
    assert days[-1].start < end <= days[-1].end
    for one, other in pairwise(days):
        assert (one.end, one.day < other.day) == (other.start, True)
    if at_close:
        assert all(plan.is_trading_day(day.day) for day in days)


@given(at=st.times(), moment=MOMENTS)
@settings(max_examples=60, deadline=None)
def test_reports_come_on_trading_days_alone(at, moment):
    at = at.replace(microsecond=0, fold=0)
    plan = DayPlan(SHANGHAI, hours("cn"))
    due = plan.next_time(at, moment)
    before = plan.previous_time(at, due)
    assert moment < due
    assert before < due
    assert plan.next_time(at, before) == due
    assert plan.is_trading_day(due.astimezone(SHANGHAI).date())


def test_a_market_that_never_opens_is_told_so():
    never = Hours(SHANGHAI, weekdays=frozenset())
    with pytest.raises(NoTradingDay):
        never.on_or_after(date(2026, 1, 1))
    with pytest.raises(NoTradingDay):
        DayPlan(SHANGHAI, never).next_time(time(8), datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("9 to 5", "is written like"),
        ("09:30-08:30", "ends after it begins"),
        ("09:30-12:00, 11:00-15:00", "before the session ahead"),
    ],
)
def test_a_session_that_cannot_be_is_named(text, wrong):
    with pytest.raises(ValueError, match=wrong):
        sessions_parse(text)


def test_sessions_are_read_as_they_are_written():
    text = "09:30-11:30, 13:00-15:00"
    assert sessions_text(sessions_parse(text)) == text
    assert sessions_parse("") == []
