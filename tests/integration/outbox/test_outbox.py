"""Messages are done at least once, take effect exactly once, and survive everything."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models.functions import Now
from django.utils import timezone

from rootstock.outbox import broker, dispatch, handlers
from rootstock.outbox.handlers import UnknownTopic, handler
from rootstock.outbox.models import OutboxMessage
from rootstock.outbox.services import outbox_gauges, outbox_lag_seconds, outbox_write
from rootstock.realtime.models import Event, Stream
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import NoOrganisation, organisation_scope


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers handlers that are forgotten after the test."""
    monkeypatch.setattr(handlers, "_handlers", dict(handlers._handlers))
    return handler


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been sent to the broker."""
    sent: list[Any] = []

    def publish(message_id: Any, organisation_id: Any, queue: str) -> bool:
        sent.append((message_id, organisation_id, queue))
        return True

    monkeypatch.setattr("rootstock.outbox.services.publish", publish)
    monkeypatch.setattr("rootstock.outbox.dispatch.publish", publish)
    return sent


def write(organisation: Any, *args: Any, **kwargs: Any) -> Any:
    with organisation_scope(organisation.pk):
        return outbox_write(*args, **kwargs)


def rows(organisation: Any) -> list[OutboxMessage]:
    with organisation_scope(organisation.pk):
        return list(OutboxMessage.objects.order_by("id"))


def test_effect_and_end_of_the_message_are_one_commit(live_db, organisation, topic, hints) -> None:
    @topic("t.effect")
    def run(payload: dict[str, Any]) -> None:
        Stream.objects.create(name=payload["name"])

    message_id = write(organisation, "t.effect", {"name": "one"})
    assert hints == [(message_id, organisation.pk, "default")]
    assert dispatch.run(message_id, organisation.pk) == "done"
    assert rows(organisation) == []
    assert dispatch.run(message_id, organisation.pk) == "not due"
    with organisation_scope(organisation.pk):
        assert Stream.objects.count() == 1


def test_nothing_is_sent_when_the_transaction_fails(live_db, organisation, topic, hints) -> None:
    topic("t.rollback")(lambda payload: None)
    with pytest.raises(ZeroDivisionError), organisation_scope(organisation.pk):
        outbox_write("t.rollback", {})
        1 / 0  # noqa: B018
    assert hints == []
    assert rows(organisation) == []


def test_unknown_topic_and_missing_scope_are_refused(live_db, organisation, hints) -> None:
    with pytest.raises(UnknownTopic):
        write(organisation, "t.nobody", {})
    with pytest.raises(NoOrganisation):
        outbox_write("jobs.run", {})


def test_failure_waits_then_is_tried_again_then_is_dead(
    live_db, organisation, topic, hints
) -> None:
    calls: list[int] = []

    @topic("t.fails", max_attempts=3)
    def run(payload: dict[str, Any]) -> None:
        calls.append(1)
        Stream.objects.create(name="undone")
        raise ValueError("no luck\x00")

    message_id = write(organisation, "t.fails", {"a": 1})
    assert dispatch.run(message_id, organisation.pk) == "failed"
    (row,) = rows(organisation)
    assert row.last_error == "ValueError: no luck"
    assert row.available_at > timezone.now() + timedelta(seconds=1)
    assert dispatch.run(message_id, organisation.pk) == "not due"
    for expected in ("failed", "dead"):
        with organisation_scope(organisation.pk):
            OutboxMessage.objects.update(available_at=Now())
        assert dispatch.run(message_id, organisation.pk) == expected
    assert len(calls) == 3
    assert outbox_gauges()["dead"] == 1
    with organisation_scope(organisation.pk):
        assert not Stream.objects.filter(name="undone").exists()
        event = Event.objects.get(stream="outbox")
        assert event.payload["error"] == "ValueError: no luck"


@pytest.mark.parametrize("attempt, low, high", [(1, 1.6, 2.4), (2, 3.2, 4.8), (30, 2880, 4320)])
def test_back_off_doubles_up_to_an_hour(attempt: int, low: float, high: float) -> None:
    assert low <= dispatch.wait_after(attempt).total_seconds() <= high


def test_message_that_kills_its_worker_ends_as_a_dead_letter(
    live_db, organisation, topic, hints
) -> None:
    @topic("t.killer", max_attempts=2)
    def run(payload: dict[str, Any]) -> None:
        raise SystemExit

    message_id = write(organisation, "t.killer", {})
    for _ in range(2):
        with pytest.raises(SystemExit):
            dispatch.run(message_id, organisation.pk)
        assert dispatch.run(message_id, organisation.pk) == "not due"  # the lease still holds
        with organisation_scope(organisation.pk):
            OutboxMessage.objects.update(leased_until=Now() - timedelta(seconds=1))
    assert dispatch.run(message_id, organisation.pk) == "dead"
    assert "ended during each of 2 attempts" in rows(organisation)[0].last_error


def test_two_deliveries_at_once_do_it_once(live_db, organisation, topic, hints) -> None:
    started, calls = threading.Barrier(8), []

    @topic("t.once")
    def run(payload: dict[str, Any]) -> None:
        calls.append(1)
        Stream.objects.create(name=f"s{len(calls)}")

    message_id = write(organisation, "t.once", {})
    outcomes: list[str] = []

    def deliver() -> None:
        started.wait()
        outcomes.append(dispatch.run(message_id, organisation.pk))
        connections.close_all()

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["not due"] * 7
    assert calls == [1]


def test_worker_that_lost_its_lease_while_preparing_changes_nothing(
    live_db, organisation, topic, hints
) -> None:
    calls: list[Any] = []

    def prepare(payload: dict[str, Any]) -> str:
        if not calls:
            calls.append("slow")
            with organisation_scope(organisation.pk):
                OutboxMessage.objects.update(leased_until=Now() - timedelta(seconds=1))
            assert dispatch.run(message_id, organisation.pk) == "done"
        return "prepared"

    @topic("t.slow", prepare=prepare)
    def run(payload: dict[str, Any], prepared: str) -> None:
        calls.append(prepared)

    message_id = write(organisation, "t.slow", {})
    assert dispatch.run(message_id, organisation.pk) == "lost"
    assert calls == ["slow", "prepared"]


def test_slow_preparation_renews_the_lease(live_db, organisation, topic, hints, settings) -> None:
    settings.ROOTSTOCK_LEASE_SECONDS = 1
    seen: list[bool] = []

    def prepare(payload: dict[str, Any]) -> None:
        threading.Event().wait(1.6)
        with handlers.message_scope():
            seen.append(OutboxMessage.objects.get().leased_until > timezone.now())

    topic("t.renew", prepare=prepare)(lambda payload, prepared: None)
    message_id = write(organisation, "t.renew", {})
    assert dispatch.run(message_id, organisation.pk) == "done"
    assert seen == [True]


def test_after_runs_behind_the_commit(live_db, organisation, topic, hints) -> None:
    seen: list[Any] = []

    def after(payload: dict[str, Any], result: Any) -> None:
        seen.append((payload, result, connection.in_atomic_block))

    topic("t.after", after=after)(lambda payload: "result")
    dispatch.run(write(organisation, "t.after", {"x": 1}), organisation.pk)
    assert seen == [({"x": 1}, "result", False)]


def test_burst_coalesces_and_its_last_signal_is_kept(live_db, organisation, topic, hints) -> None:
    @topic("t.burst")
    def run(payload: dict[str, Any]) -> None:
        # While it runs a signal comes: this one must not be swallowed by the row that is being done.
        def signal() -> None:
            write(organisation, "t.burst", {"n": 99}, coalesce_key="k")
            connections.close_all()

        if payload["n"] != 99:
            thread = threading.Thread(target=signal)
            thread.start()
            thread.join()

    ids = {write(organisation, "t.burst", {"n": n}, coalesce_key="k") for n in range(10)}
    assert len(ids) == 1
    assert len(hints) == 1
    (row,) = rows(organisation)
    assert row.payload == {"n": 9}
    assert dispatch.run(row.pk, organisation.pk) == "done"
    (second,) = rows(organisation)
    assert second.payload == {"n": 99}
    assert len(hints) == 2


def test_worker_waits_for_a_signal_that_is_not_committed_yet(
    live_db, organisation, topic, hints
) -> None:
    """The writer has coalesced into a pending row, but its data is not visible yet: the handler must see it."""
    seen: list[int] = []

    @topic("t.race")
    def run(payload: dict[str, Any]) -> None:
        seen.append(Stream.objects.count())

    message_id = write(organisation, "t.race", {}, coalesce_key="k")

    def deliver() -> None:
        dispatch.run(message_id, organisation.pk)
        connections.close_all()

    thread = threading.Thread(target=deliver)
    with organisation_scope(organisation.pk):
        Stream.objects.create(name="late")
        outbox_write("t.race", {}, coalesce_key="k")
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert seen == []
    thread.join()
    assert seen == [1]


def test_sweeper_sends_what_nobody_has_and_only_that(
    live_db, organisation, organisation_b, topic, hints
) -> None:
    topic("t.sweep")(lambda payload: None)
    fresh = write(organisation, "t.sweep", {})
    later = write(organisation, "t.sweep", {}, available_at=timezone.now() + timedelta(hours=1))
    stale = write(organisation_b, "t.sweep", {})
    hints.clear()
    with organisation_scope(organisation_b.pk):
        OutboxMessage.objects.filter(pk=stale).update(published_at=Now() - timedelta(seconds=9))
    assert dispatch.sweep() == 1
    assert hints == [(stale, organisation_b.pk, "default")]
    assert dispatch.sweep() == 0
    assert outbox_lag_seconds() > 0
    assert {row.pk for row in rows(organisation)} == {fresh, later}


def test_copies_become_rare_while_the_queue_is_not_empty(
    live_db, organisation, topic, hints
) -> None:
    topic("t.rare")(lambda payload: None)
    message_id = write(organisation, "t.rare", {})
    with organisation_scope(organisation.pk):
        OutboxMessage.objects.update(published_at=Now() - timedelta(seconds=20), published_count=3)
    assert call_lookup("outbox_claim", "default", 10, 8, False) == []
    (row,) = call_lookup("outbox_claim", "default", 10, 8, True)
    assert row["id"] == message_id


def test_broker_that_is_away_does_not_fail_the_request(
    live_db, organisation, topic, monkeypatch
) -> None:
    tried: list[int] = []

    def away(*_: Any, **__: Any) -> None:
        tried.append(1)
        raise ConnectionRefusedError("no broker")

    monkeypatch.setattr(broker, "_away_until", 0.0)
    monkeypatch.setattr("celery.current_app.send_task", away)
    topic("t.away")(lambda payload: None)
    ids = [write(organisation, "t.away", {}) for _ in range(5)]
    assert [row.pk for row in rows(organisation)] == ids
    assert len(tried) < 5  # after the first failure nothing is tried for a second


def test_other_organisations_messages_do_not_exist(
    live_db, organisation, organisation_b, topic, hints
) -> None:
    topic("t.mine")(lambda payload: None)
    message_id = write(organisation, "t.mine", {})
    assert dispatch.run(message_id, organisation_b.pk) == "not due"
    assert OutboxMessage.objects.count() == 0
    with transaction.atomic():
        assert OutboxMessage.objects.count() == 0
