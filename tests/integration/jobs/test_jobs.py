"""A job's life: progress, cancel, failure, take-over."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from rootstock.common.actors import SYSTEM
from rootstock.jobs import runner, tasks
from rootstock.jobs.models import Job
from rootstock.jobs.runner import JobContext, job_kind
from rootstock.jobs.services import MAX_ATTEMPTS, job_cancel, job_create
from rootstock.outbox import dispatch
from rootstock.outbox.models import OutboxMessage
from rootstock.realtime.models import Event
from rootstock.tenancy.scope import organisation_scope


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers kinds of jobs that are forgotten after the test."""
    monkeypatch.setattr(runner, "_kinds", dict(runner._kinds))
    return job_kind


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test plays the worker."""
    monkeypatch.setattr("rootstock.outbox.services.publish", lambda *_: True)


def create(organisation: Any, kind: str, **params: Any) -> Job:
    with organisation_scope(organisation.pk):
        return job_create(kind, title="A test", params=params, actor=SYSTEM)


def work(organisation: Any) -> None:
    """Do what is in the outbox, as a worker would."""
    with organisation_scope(organisation.pk):
        ids = list(OutboxMessage.objects.filter(topic="jobs.run").values_list("pk", flat=True))
    for message_id in ids:
        dispatch.run(message_id, organisation.pk)


def read(organisation: Any, job: Job) -> Job:
    with organisation_scope(organisation.pk):
        return Job.objects.get(pk=job.pk)


def events(organisation: Any) -> list[str]:
    with organisation_scope(organisation.pk):
        return list(Event.objects.order_by("sequence").values_list("type", flat=True))


def test_job_runs_reports_and_succeeds(live_db, organisation, kind) -> None:
    @kind("t.ok")
    def run(context: JobContext) -> dict[str, Any]:
        context.progress(0.25, phase="read")
        context.progress(0.26)  # within half a second: not written
        context.progress(0.5, phase="write", message="half")
        context.log("one\ntwo")
        assert not context.should_stop()
        return {"answer": context.params["a"]}

    job = create(organisation, "t.ok", a=42)
    assert read(organisation, job).state == "queued"
    work(organisation)
    done = read(organisation, job)
    assert (done.state, done.fraction, done.result) == ("succeeded", 1.0, {"answer": 42})
    assert done.attempt == 1
    with organisation_scope(organisation.pk):
        assert [line.text for line in done.lines.order_by("id")] == ["one", "two"]
        assert not OutboxMessage.objects.exists()
    assert events(organisation) == [
        "job.queued",
        "job.running",
        "job.progress",
        "job.progress",
        "job.succeeded",
    ]


def test_failure_is_told_with_its_reason_and_trace(live_db, organisation, kind) -> None:
    @kind("t.fails")
    def run(context: JobContext) -> None:
        raise ValueError("the file has no column 'text'")

    job = create(organisation, "t.fails")
    work(organisation)
    failed = read(organisation, job)
    assert (failed.state, failed.error) == ("failed", "the file has no column 'text'")
    with organisation_scope(organisation.pk):
        assert "Traceback" in failed.lines.order_by("id")[0].text


def test_unknown_kind_fails_clearly(live_db, organisation) -> None:
    job = create(organisation, "t.nobody")
    work(organisation)
    assert "t.nobody" in read(organisation, job).error


def test_waiting_job_is_cancelled_at_once_and_never_starts(live_db, organisation, kind) -> None:
    ran: list[int] = []
    kind("t.waits")(lambda context: ran.append(1))
    job = create(organisation, "t.waits")
    with organisation_scope(organisation.pk):
        assert job_cancel(job.pk).state == "cancelled"
    work(organisation)
    assert ran == []
    assert read(organisation, job).state == "cancelled"


def test_running_job_stops_at_its_next_step(live_db, organisation, kind, monkeypatch) -> None:
    monkeypatch.setattr(runner, "HEARTBEAT_SECONDS", 0.05)

    @kind("t.runs")
    def run(context: JobContext) -> None:
        with context.scope():
            job_cancel(context.job_id)
        while not context.should_stop():
            threading.Event().wait(0.02)
        context.progress(0.9)
        raise AssertionError("progress() must have raised")

    job = create(organisation, "t.runs")
    work(organisation)
    cancelled = read(organisation, job)
    assert cancelled.state == "cancelled"
    assert cancelled.cancel_requested_at is not None


def lose_worker(organisation: Any, job: Job) -> None:
    """As if the worker had been killed some time ago."""
    with organisation_scope(organisation.pk):
        from rootstock.jobs.services import job_claim

        assert job_claim(job.pk) is not None
        OutboxMessage.objects.all().delete()
        Job.objects.filter(pk=job.pk).update(leased_until=Now() - timedelta(seconds=1))


def test_resumable_job_of_a_dead_worker_is_taken_up_again(live_db, organisation, kind) -> None:
    seen: list[int] = []

    @kind("t.resumes", resumable=True)
    def run(context: JobContext) -> dict[str, Any]:
        seen.append(context.attempt)
        return {}

    job = create(organisation, "t.resumes")
    lose_worker(organisation, job)
    tasks.sweep()
    assert read(organisation, job).state == "queued"
    work(organisation)
    assert seen == [2]
    assert read(organisation, job).state == "succeeded"


def test_other_job_of_a_dead_worker_fails_with_a_reason(live_db, organisation, kind) -> None:
    kind("t.not-resumable")(lambda context: None)
    job = create(organisation, "t.not-resumable")
    lose_worker(organisation, job)
    tasks.sweep()
    failed = read(organisation, job)
    assert failed.state == "failed"
    assert "worker ended" in failed.error


def test_job_that_kills_every_worker_ends(live_db, organisation, kind) -> None:
    kind("t.killer", resumable=True)(lambda context: None)
    job = create(organisation, "t.killer")
    for _ in range(MAX_ATTEMPTS):
        lose_worker(organisation, job)
        tasks.sweep()
    assert read(organisation, job).state == "failed"


def test_worker_that_was_given_up_changes_nothing_any_more(
    live_db, organisation, kind, monkeypatch
) -> None:
    monkeypatch.setattr(runner, "HEARTBEAT_SECONDS", 60)
    answers = iter(["late", "new"])

    @kind("t.zombie", resumable=True)
    def run(context: JobContext) -> dict[str, Any]:
        answer = next(answers)
        if answer == "late":
            with context.scope():
                Job.objects.update(leased_until=Now() - timedelta(seconds=1))
            tasks.sweep()
            work(organisation)
        return {"answer": answer}

    job = create(organisation, "t.zombie")
    work(organisation)
    done = read(organisation, job)
    assert done.result == {"answer": "new"}
    assert done.attempt == 2


def test_worker_that_shuts_down_gives_a_resumable_job_back(
    live_db, organisation, kind, monkeypatch
) -> None:
    monkeypatch.setattr(runner, "stopping", threading.Event())

    @kind("t.given-back", resumable=True)
    def run(context: JobContext) -> None:
        tasks.stop()
        context.progress(0.5)

    job = create(organisation, "t.given-back")
    work(organisation)
    assert read(organisation, job).state == "queued"
    with organisation_scope(organisation.pk):
        assert OutboxMessage.objects.count() == 1


def test_job_whose_message_is_dead_fails(live_db, organisation, monkeypatch) -> None:
    def broken(_: Any) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr("rootstock.jobs.services.job_claim", broken)
    job = create(organisation, "t.any")
    with organisation_scope(organisation.pk):
        OutboxMessage.objects.update(attempts=19)
    work(organisation)
    failed = read(organisation, job)
    assert (failed.state, failed.error) == ("failed", "RuntimeError: no memory")


class TestRest:
    """/api/v1/jobs/"""

    def ask(self, client: Any, key: str, method: str, path: str) -> Any:
        return getattr(client, method)(
            f"/api/v1/jobs/{path}", headers={"Authorization": f"Bearer {key}"}
        )

    def test_list_read_log_cancel(self, live_db, organisation, client, make_key) -> None:
        key = make_key(organisation)
        job = create(organisation, "t.rest")
        listed = self.ask(client, key, "get", "?state=active").json()["results"]
        assert [row["id"] for row in listed] == [str(job.pk)]
        read_one = self.ask(client, key, "get", f"{job.pk}/")
        assert read_one.json() == listed[0]
        assert read_one.headers["ETag"]
        assert self.ask(client, key, "get", f"{job.pk}/log/").json()["results"] == []
        cancelled = self.ask(client, key, "post", f"{job.pk}/cancel/")
        assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
        again = self.ask(client, key, "post", f"{job.pk}/cancel/")
        assert (again.status_code, again.json()["type"]) == (
            409,
            "urn:rootstock:problem:job-finished",
        )
        assert self.ask(client, key, "get", "?state=nonsense").status_code == 422

    def test_other_organisation_and_missing_permission(
        self, live_db, organisation, organisation_b, client, make_key
    ) -> None:
        job = create(organisation, "t.rest")
        foreign = make_key(organisation_b)
        assert self.ask(client, foreign, "get", f"{job.pk}/").status_code == 404
        assert self.ask(client, foreign, "post", f"{job.pk}/cancel/").status_code == 404
        reader = make_key(organisation, scopes=["jobs:read"])
        assert self.ask(client, reader, "post", f"{job.pk}/cancel/").status_code == 403
