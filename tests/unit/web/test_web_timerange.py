"""The time range in the address of a page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import RequestFactory
from django.utils import timezone

from rootstock.web.timerange import time_range


def _of(query: str, default: str = "24h"):
    return time_range(RequestFactory().get(f"/?{query}"), default)


def test_a_preset_ends_now() -> None:
    found = _of("range=7d")
    assert found.end - found.start == timedelta(days=7)
    assert abs(timezone.now() - found.end) < timedelta(seconds=5)
    assert found.preset == "7d"
    assert not found.error
    assert found.before.end == found.start


def test_without_a_word_the_default_holds() -> None:
    assert _of("", "1h").preset == "1h"
    assert not _of("", "1h").error


def test_dates_are_read_in_the_time_zone_of_the_organisation() -> None:
    with timezone.override("Asia/Shanghai"):
        found = _of("from=2026-03-01T08:00&to=2026-03-02T08:00")
        assert found.start.isoformat() == "2026-03-01T08:00:00+08:00"
        assert found.label == "2026-03-01 08:00 – 2026-03-02 08:00"
    found = _of("from=2026-03-01T08:00:00Z&to=2026-03-02T08:00:00Z")
    assert found.start.isoformat() == "2026-03-01T08:00:00+00:00"


@pytest.mark.parametrize(
    "query",
    ["range=1000y", "from=2026-99-99T00:00&to=x", "from=2026-03-01T08:00", "from=%00&to=%00"],
)
def test_what_cannot_be_read_falls_back_and_says_so(query: str) -> None:
    found = _of(query)
    assert found.preset == "24h"
    assert "could not be read" in str(found.error)


def test_a_range_that_ends_before_it_starts_says_so() -> None:
    found = _of("from=2026-03-02T08:00&to=2026-03-01T08:00")
    assert "ends before it starts" in str(found.error)
