"""Trading calendars: from REST and pages to the days of charts and forecasts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.finance_sentiment.models import EVERYTHING, TimeBucket, TradingCalendar, TradingHoliday
from apps.finance_sentiment.selectors.forecasts import subject_forecast
from apps.finance_sentiment.selectors.trends import DAY, trend_series
from apps.finance_sentiment.services.calendars import calendar_install, calendar_save
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/finance/calendars"
JSON = "application/json"


@pytest.fixture
def api(organisation, make_key):
    return Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})


@pytest.fixture
def page(organisation, make_user):
    client = Client()
    client.force_login(make_user(organisation, "manager"))
    return client


def hour(moment: datetime, stories: int) -> None:
    TimeBucket.objects.create(
        kind="all", key="", start=moment, width=3600, documents=stories, stories=stories
    )


def test_days_of_charts_begin_at_midnight_where_the_organisation_is(make_organisation, db):
    there = make_organisation("Acme", time_zone="Asia/Shanghai")
    with organisation_scope(there.pk):
        hour(datetime(2026, 3, 3, 15, tzinfo=UTC), 1)  # 23:00 of the 3rd
        hour(datetime(2026, 3, 3, 16, tzinfo=UTC), 2)  # midnight
        start = datetime(2026, 3, 3, 3, tzinfo=UTC)
        points = trend_series(start=start, end=start + timedelta(days=2), width=DAY)
        assert [(str(point.day), point.stories) for point in points] == [
            ("2026-03-03", 1), ("2026-03-04", 2), ("2026-03-05", 0),
        ]  # fmt: skip
        assert points[0].start == datetime(2026, 3, 2, 16, tzinfo=UTC)


def test_with_the_close_the_weekend_belongs_to_monday(make_organisation, actor):
    there = make_organisation("Acme", time_zone="Asia/Shanghai")
    with organisation_scope(there.pk):
        calendar = calendar_install(key="cn", actor=actor)
        calendar_save(calendar=calendar, actor=actor, values={"days_end": "close"})
        hour(datetime(2026, 3, 6, 6, tzinfo=UTC), 1)  # Friday, in the last hour of trading
        hour(datetime(2026, 3, 6, 7, tzinfo=UTC), 2)  # the market has closed
        hour(datetime(2026, 3, 8, 7, tzinfo=UTC), 4)  # Sunday
        start = datetime(2026, 3, 6, 1, tzinfo=UTC)
        points = trend_series(start=start, end=start + timedelta(days=4), width=DAY)
        assert [(str(point.day), point.stories) for point in points] == [
            ("2026-03-06", 1), ("2026-03-09", 6), ("2026-03-10", 0),
        ]  # fmt: skip


def test_half_hours_are_counted_from_minutes(make_organisation):
    there = make_organisation("Acme", time_zone="Asia/Kolkata")
    with organisation_scope(there.pk):
        for minute, stories in ((29, 1), (30, 2)):  # midnight there is 18:30
            moment = datetime(2026, 3, 3, 18, minute, tzinfo=UTC)
            TimeBucket.objects.create(kind="all", key="", start=moment, width=60, stories=stories)
        start = datetime(2026, 3, 3, 12, tzinfo=UTC)
        points = trend_series(start=start, end=start + timedelta(days=1), width=DAY)
        assert [point.stories for point in points] == [1, 2]


def test_a_forecast_by_the_day_goes_over_trading_days(make_organisation, actor):
    there = make_organisation("Acme", time_zone="Asia/Shanghai")
    now = datetime(2026, 2, 12, 8, tzinfo=UTC)
    with organisation_scope(there.pk):
        calendar = calendar_install(key="cn", actor=actor)
        calendar_save(calendar=calendar, actor=actor, values={"days_end": "close"})
        for n in range(70):
            hour(now.replace(hour=2) - timedelta(days=n), 5 + n % 5)
        made = subject_forecast(
            subject=EVERYTHING, measure="volume", width=DAY, model="seasonal-naive", now=now
        )
    # Friday the 13th begins with Thursday's close; then come the holidays.
    assert [str(moment.date()) for moment in made.ahead] == [
        "2026-02-12", "2026-02-13", "2026-02-24", "2026-02-25", "2026-02-26",
    ]  # fmt: skip
    assert max(made.values) > 9  # a weekend's stories lie on its Monday


def test_from_a_market_to_its_days_over_rest(api):
    answer = api.post(f"{ROOT}/install", {"market": "hk"}, JSON)
    calendar = answer.json()
    assert (answer.status_code, calendar["is_main"]) == (200, True)
    assert calendar["sessions"] == "09:30-12:00, 13:00-16:00"
    path = f"{ROOT}/{calendar['id']}"
    days = api.get(f"{path}/days", {"since": "2026-02-16", "until": "2026-02-21"}).json()["results"]
    assert [(day["trades"], day["closes_early"]) for day in days] == [
        (True, True), (False, False), (False, False), (False, False), (True, False),
    ]  # fmt: skip
    typhoon = {"holidays": [{"day": "2026-09-23", "name": "Typhoon"}]}
    assert api.post(f"{path}/holidays", typhoon, JSON).json() == {"stored": 1}
    assert api.post(f"{path}/holidays", typhoon, JSON).json() == {"stored": 1}
    found = api.get(f"{path}/holidays", {"page_size": "200"}).json()["results"]
    (storm,) = [one for one in found if one["name"] == "Typhoon"]
    assert api.delete(f"{path}/holidays/{storm['id']}").status_code == 204
    other = api.post(
        ROOT, {"name": "Night desk", "time_zone": "UTC", "weekdays": [5, 6], "is_main": True}, JSON
    )
    assert other.status_code == 201
    assert api.get(path).json()["is_main"] is False
    changed = api.patch(path, {"days_end": "close"}, JSON, headers={"If-Match": '"old"'})
    assert changed.status_code == 412
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"time_zone": "Mars/Base"}, "/time_zone"),
        ({"sessions": "15:00-09:00"}, "/sessions"),
        ({"weekdays": []}, "/weekdays"),
        ({"name": "Taken"}, "/name"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(api, body, pointer):
    first = {"name": "Taken", "time_zone": "UTC"}
    assert api.post(ROOT, first, JSON).status_code == 201
    answer = api.post(ROOT, {"name": "Mine", "time_zone": "UTC", **body}, JSON)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_the_page_from_nothing_to_a_file_of_holidays(page, organisation):
    path = "/public-opinion/trading-days/"
    assert "No calendar yet" in page.get(path).content.decode()
    answer = page.post(f"{path}add/", {"market": "cn"}, follow=True)
    assert "The next weeks" in answer.content.decode()
    with organisation_scope(organisation.pk):
        calendar = TradingCalendar.objects.get()
    assert "Shanghai and Shenzhen" in page.get(path).content.decode()
    own = f"{path}{calendar.pk}/"
    lines = b"day,name,closes_at\n2027-02-08,Spring Festival\n2027-12-31,Eve,12:00\n"
    answer = page.post(
        own, {"action": "file", "file": SimpleUploadedFile("days.csv", lines)}, follow=True
    )
    assert "2 holidays were taken in" in answer.content.decode()
    bad = SimpleUploadedFile("days.csv", b"2027-02-08\n8 Feb\n")
    answer = page.post(own, {"action": "file", "file": bad})
    assert answer.status_code == 422
    assert "Line 2: “8 Feb” is not a day" in answer.content.decode()
    page.post(own, {"action": "holiday", "day": "2027-03-01", "name": "Mourning"})
    with organisation_scope(organisation.pk):
        holiday = TradingHoliday.objects.get(day=date(2027, 3, 1))
    page.post(f"{own}holidays/{holiday.pk}/remove/")
    page.post(
        own,
        {"action": "change", "name": "Mine", "time_zone": "Asia/Shanghai", "weekdays": ["0", "1"],
         "sessions": "09:30-11:30", "days_end": "close"},
    )  # fmt: skip
    with organisation_scope(organisation.pk):
        assert not TradingHoliday.objects.filter(pk=holiday.pk).exists()
        calendar.refresh_from_db()
        assert (calendar.name, calendar.days_end, calendar.sessions) == (
            "Mine", "close", [["09:30", "11:30"]],
        )  # fmt: skip
    page.post(f"{own}remove/")
    assert page.get(own).status_code == 404


def test_a_viewer_only_looks(organisation, make_user, actor):
    with organisation_scope(organisation.pk):
        calendar = calendar_install(key="us", actor=actor)
    client = Client()
    client.force_login(make_user(organisation, "viewer"))
    own = f"/public-opinion/trading-days/{calendar.pk}/"
    assert "Take in a file" not in client.get(own).content.decode()
    assert client.post(own, {"action": "holiday", "day": "2027-03-01"}).status_code == 403
    assert client.post(f"{own}remove/").status_code == 403
