"""Quiet hours follow the clock of the person, over midnight, on chosen days and when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_sentiment.models import AlertChannel, NoticeSettings
from apps.finance_sentiment.services.alerting.quiet import digest_at, due_at, quiet_until
from rootstock.common.ids import uuid7

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
MOMENTS = st.integers(1_577_836_800, 1_893_456_000).map(lambda s: datetime.fromtimestamp(s, UTC))
NIGHT = {"begins": time(22), "ends": time(7)}


def at(zone: ZoneInfo, *when: int) -> datetime:
    return datetime(*when, tzinfo=zone)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (at(SHANGHAI, 2026, 3, 4, 23), at(SHANGHAI, 2026, 3, 5, 7)),
        (at(SHANGHAI, 2026, 3, 5, 6, 59), at(SHANGHAI, 2026, 3, 5, 7)),
        (at(SHANGHAI, 2026, 3, 5, 7), None),
        (at(SHANGHAI, 2026, 3, 5, 21, 59), None),
        # the same moment in another zone is judged by the person's clock
        (at(UTC, 2026, 3, 4, 15), at(SHANGHAI, 2026, 3, 5, 7)),
    ],
)
def test_a_night_goes_over_midnight(moment, end):
    assert quiet_until(moment, **NIGHT, days=[], zone=SHANGHAI) == end


def test_a_period_belongs_to_the_day_on_which_it_begins():
    friday_night = at(BERLIN, 2026, 3, 7, 2)  # a Saturday by date
    assert quiet_until(friday_night, **NIGHT, days=[4], zone=BERLIN) == at(BERLIN, 2026, 3, 7, 7)
    assert quiet_until(friday_night, **NIGHT, days=[5], zone=BERLIN) is None


def test_the_night_in_which_the_clocks_go_forward_is_an_hour_shorter():
    begin = at(BERLIN, 2026, 3, 28, 22)
    end = quiet_until(begin, **NIGHT, days=[], zone=BERLIN)
    assert end is not None
    assert end - begin.astimezone(UTC) == timedelta(hours=8)
    assert end.astimezone(BERLIN).hour == 7


@settings(max_examples=200, deadline=None)
@given(
    moment=MOMENTS,
    begins=st.times(),
    ends=st.times(),
    days=st.sets(st.integers(0, 6)),
    zone=st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("America/Sao_Paulo"), ZoneInfo("UTC")]),
)
def test_a_quiet_period_ends_in_a_day_at_the_latest_and_is_over_then(
    moment, begins, ends, days, zone
):
    if begins == ends:
        return
    end = quiet_until(moment, begins=begins, ends=ends, days=days, zone=zone)
    if end is not None:
        assert moment < end <= moment + timedelta(hours=25)


@settings(max_examples=200, deadline=None)
@given(
    moment=MOMENTS,
    minutes=st.integers(1, 1440),
    zone=st.sampled_from([SHANGHAI, BERLIN]),
)
def test_a_digest_is_never_late(moment, minutes, zone):
    assert (
        moment
        < digest_at(moment, minutes=minutes, zone=zone)
        <= moment + timedelta(minutes=minutes)
    )


def test_the_later_of_two_wishes_holds_and_what_is_urgent_goes_through():
    now = at(SHANGHAI, 2026, 3, 4, 23)
    night = {"quiet_from": time(22), "quiet_until": time(7)}
    person = NoticeSettings(organisation_id=uuid7(), urgent_score=5.0, **night)
    channel = AlertChannel(organisation_id=uuid7(), digest_minutes=60)
    due = due_at(now, [person, channel], score=1.0, default_zone=SHANGHAI)
    assert (due.at, due.held) == (at(SHANGHAI, 2026, 3, 5, 8), "digest")
    alone = due_at(now, [person, None], score=1.0, default_zone=SHANGHAI)
    assert (alone.at, alone.held) == (at(SHANGHAI, 2026, 3, 5, 7), "quiet")
    assert due_at(now, [person], score=5.0, default_zone=SHANGHAI).at == now
