"""Dead letters over REST, and the numbers that Prometheus reads."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from rootstock.common.metrics import register_gauge
from rootstock.outbox.models import OutboxMessage
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.scope import organisation_scope


def dead(organisation: Any) -> OutboxMessage:
    with organisation_scope(organisation.pk):
        message_id = outbox_write("jobs.run", {"job_id": "secret"})
        OutboxMessage.objects.update(dead_at=Now(), attempts=20, last_error="ValueError: no")
        return OutboxMessage.objects.get(pk=message_id)


def test_list_read_and_retry(live_db, organisation, client, make_key) -> None:
    message, key = dead(organisation), make_key(organisation)
    headers = {"Authorization": f"Bearer {key}"}
    (row,) = client.get("/api/v1/outbox/dead-letters/", headers=headers).json()["results"]
    assert (row["id"], row["last_error"]) == (str(message.pk), "ValueError: no")
    assert "payload" not in row
    path = f"/api/v1/outbox/dead-letters/{message.pk}/"
    assert client.get(path, headers=headers).json() == row
    assert client.post(path + "retry/", headers=headers).status_code == 202
    assert client.post(path + "retry/", headers=headers).status_code == 404
    with organisation_scope(organisation.pk):
        waiting = OutboxMessage.objects.get()
        assert (waiting.dead_at, waiting.attempts) == (None, 0)


def test_others_and_readers_may_not(
    live_db, organisation, organisation_b, client, make_key
) -> None:
    message = dead(organisation)
    path = f"/api/v1/outbox/dead-letters/{message.pk}/"
    foreign = {"Authorization": f"Bearer {make_key(organisation_b)}"}
    assert client.get("/api/v1/outbox/dead-letters/", headers=foreign).json()["results"] == []
    assert client.get(path, headers=foreign).status_code == 404
    assert client.post(path + "retry/", headers=foreign).status_code == 404
    reader = {"Authorization": f"Bearer {make_key(organisation, scopes=['jobs:read'])}"}
    assert client.post(path + "retry/", headers=reader).status_code == 403


def test_metrics_count_all_organisations(live_db, organisation, organisation_b, client) -> None:
    dead(organisation)
    dead(organisation_b)
    text = client.get("/metrics").content.decode()
    assert 'rootstock_outbox{what="dead"} 2.0' in text
    assert 'rootstock_outbox{what="lag_seconds"}' in text


def test_gauge_that_cannot_be_read_does_not_hide_the_others(live_db, client) -> None:
    def broken() -> float:
        raise OSError("gone")

    register_gauge("t_broken", "Cannot be read", broken)
    register_gauge("t_fine", "Can be read", lambda: 7.0)
    text = client.get("/metrics").content.decode()
    assert "t_fine 7.0" in text
    assert "t_broken" not in text
