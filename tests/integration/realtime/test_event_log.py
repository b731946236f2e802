"""The event log: numbers without gaps in the order of commits, and reading after a number."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections

from rootstock.common.partitions import maintain_partitions
from rootstock.realtime import streams
from rootstock.realtime.models import Event
from rootstock.realtime.selectors import REPLAY_LIMIT, page_after, stream_head
from rootstock.realtime.services import event_append, event_append_many
from rootstock.realtime.streams import UnknownStream
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.scope import organisation_scope


@pytest.fixture(autouse=True)
def stream(monkeypatch: pytest.MonkeyPatch) -> str:
    """A stream of the test's own."""
    monkeypatch.setattr(streams, "_streams", dict(streams._streams))
    streams.register("t.stream", permission=Permission.FINANCE_READ)
    return "t.stream"


def append(organisation: Any, count: int = 1) -> range:
    with organisation_scope(organisation.pk):
        return event_append_many("t.stream", [("t.event", {"n": n}) for n in range(count)])


def test_numbers_go_up_by_one_and_a_rollback_takes_them_back(live_db, organisation) -> None:
    assert list(append(organisation, 3)) == [1, 2, 3]
    with pytest.raises(ZeroDivisionError), organisation_scope(organisation.pk):
        assert event_append("t.stream", "t.event", {}) == 4
        1 / 0  # noqa: B018
    assert list(append(organisation)) == [4]


def test_each_organisation_has_numbers_of_its_own(live_db, organisation, organisation_b) -> None:
    append(organisation, 5)
    assert list(append(organisation_b)) == [1]
    with organisation_scope(organisation_b.pk):
        assert Event.objects.count() == 1


def test_unregistered_stream_is_refused(live_db, organisation) -> None:
    with pytest.raises(UnknownStream), organisation_scope(organisation.pk):
        event_append("t.nobody", "t.event", {})


def test_parallel_writers_leave_no_gap_and_commit_in_order(live_db, organisation) -> None:
    """A reader that has seen number n never finds a smaller one afterwards."""
    stop, late = threading.Event(), []

    def write() -> None:
        for _ in range(25):
            append(organisation, 2)
        connections.close_all()

    def watch() -> None:
        last = 0
        while not stop.is_set():
            with organisation_scope(organisation.pk):
                page = page_after("t.stream", last)
            numbers = [event["id"] for event in page.events]
            if page.reset or numbers != list(range(last + 1, last + 1 + len(numbers))):
                late.append((last, numbers))
            last = page.last
        connections.close_all()

    watcher = threading.Thread(target=watch)
    writers = [threading.Thread(target=write) for _ in range(6)]
    for thread in [watcher, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    watcher.join()
    assert late == []
    with organisation_scope(organisation.pk):
        assert stream_head("t.stream") == 300
        assert Event.objects.count() == 300


def test_reading_after_a_number(live_db, organisation) -> None:
    append(organisation, 7)
    with organisation_scope(organisation.pk):
        page = page_after("t.stream", 2, limit=3)
        assert [event["id"] for event in page.events] == [3, 4, 5]
        assert (page.last, page.more, page.reset) == (5, True, False)
        assert page.events[0]["data"] == {"n": 2}
        assert page_after("t.stream", 7).events == []


def test_what_is_no_longer_kept_is_a_reset(live_db, organisation) -> None:
    append(organisation, 5)
    with psycopg.connect(settings.DATABASE_OWNER_URL) as owner:
        owner.execute(
            "SELECT set_config('rootstock.organisation', %s, true)", [str(organisation.pk)]
        )
        owner.execute("DELETE FROM realtime_event WHERE sequence < 3")
    with organisation_scope(organisation.pk):
        page = page_after("t.stream", 1)
        assert (page.reset, page.last, page.events) == (True, 5, [])
        assert page_after("t.stream", 2).reset is False
        assert page_after("t.stream", 99).reset is True
        assert page_after("t.stream", -1).reset is True
    assert REPLAY_LIMIT >= 10_000


def test_partitions_are_made_ahead_dropped_late_and_closed_to_direct_access(
    live_db, organisation
) -> None:
    append(organisation)
    assert maintain_partitions() == []
    with psycopg.connect(settings.DATABASE_OWNER_URL, autocommit=True) as owner:
        owner.execute(
            "CREATE TABLE realtime_event_20200106 PARTITION OF realtime_event"
            " FOR VALUES FROM ('2020-01-06 00:00+00') TO ('2020-01-13 00:00+00')"
        )
        newest = owner.execute(
            "SELECT max(c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'realtime_event'::regclass"
        ).fetchone()[0]
        owner.execute(f"DROP TABLE {newest}")
    assert sorted(maintain_partitions()) == [
        ("created", newest),
        ("dropped", "realtime_event_20200106"),
    ]
    with organisation_scope(organisation.pk), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'realtime_event'::regclass"
        )
        names = [name for (name,) in cursor.fetchall()]
        assert len(names) >= 4
    for name in names:
        with (
            pytest.raises(Exception, match="permission denied"),
            organisation_scope(organisation.pk),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608 - a name of the catalogue


@pytest.mark.parametrize(
    "table, days", [("jobs_job", 30), ("realtime_event", 6), ("pg_class", 30), ("x'; drop", 30)]
)
def test_maintenance_refuses_other_tables_and_short_retention(
    live_db, table: str, days: int
) -> None:
    with pytest.raises(Exception, match="kept"), connection.cursor() as cursor:
        cursor.execute("SELECT partitions_maintain(%s, %s)", [table, days])


def test_rest_reads_the_log(live_db, organisation, client, make_key) -> None:
    append(organisation, 3)
    headers = {"Authorization": f"Bearer {make_key(organisation)}"}
    path = "/api/v1/events/?stream=t.stream"
    assert client.get(path, headers=headers).json() == {
        "results": [],
        "last_event_id": 3,
        "reset": False,
        "more": False,
    }
    page = client.get(path + "&after=1&limit=1", headers=headers).json()
    assert [event["id"] for event in page["results"]] == [2]
    assert page["more"] is True
    for bad in ("&after=x", "&after=-1", "&limit=0", "&limit=501"):
        assert client.get(path + bad, headers=headers).status_code == 422
    assert client.get("/api/v1/events/?stream=none", headers=headers).status_code == 422
    weak = {"Authorization": f"Bearer {make_key(organisation, scopes=['jobs:read'])}"}
    assert client.get(path, headers=weak).status_code == 403
    assert client.get(path).status_code == 401
