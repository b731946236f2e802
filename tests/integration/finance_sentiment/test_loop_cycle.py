"""The whole loop for real on a tiny encoder: labels, collected text, training, gate, deployment."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from apps.finance_sentiment.models import Document, LoopCycle, LoopSettings, Mention
from apps.finance_sentiment.selectors.loop import heads_of, loop_get
from apps.finance_sentiment.services.loop import rows
from apps.finance_sentiment.services.loop.cycles import (
    cycle_advance,
    cycle_cancel,
    cycle_collect,
    cycle_deploy,
    cycle_run_now,
    cycle_start,
)
from apps.finance_sentiment.services.loop.labels import label_give
from apps.finance_sentiment.services.loop.settings import loop_run_due, loop_settings_update
from ml_core.__main__ import main
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job
from rootstock.modelhub.models import Deployment, TrainingRun
from rootstock.modelhub.services import gate_policy_update
from rootstock.modelhub.training_process import Ended
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parents[1] / "modelhub"))
from modelhub_helpers import make_examples, write_tiny_base

ADA, BOB = Actor("user", "01", "Ada"), Actor("user", "02", "Bob")
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own transaction holds back nothing."""
    moment = lambda: datetime.now(UTC) + timedelta(seconds=1)  # noqa: E731
    monkeypatch.setattr(rows, "settled", moment)
    monkeypatch.setattr("apps.finance_sentiment.model_rows.settled", moment)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny encoder that can hide words; a path as base is for tests only."""
    from transformers import AutoModel, AutoTokenizer

    monkeypatch.setattr("rootstock.modelhub.training_settings._BASE", re.compile(".+"))
    path = write_tiny_base(tmp_path / "tiny")
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    tokenizer.save_pretrained(path)
    model = AutoModel.from_pretrained(path)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(path)
    return path


def label_documents(count: int) -> None:
    """Documents that people gave the sentiment that their words tell; the model had said neutral of all."""
    for number, example in enumerate(make_examples(count)):
        text = f"{example.text} group {number % 7}"
        document = Document.objects.create(
            external_id=str(number), source="Wire", title=text, language_detected="en",
            published_at=NOW, received_at=NOW, scored_at=NOW, status="scored",
            sentiment="neutral", sentiment_probabilities={"neutral": 0.9}, topics=["markets"],
        )  # fmt: skip
        first = len(text.split(maxsplit=1)[0])
        Mention.objects.create(
            document=document, surface=text[:first], folded=text[:first], start=0, end=first,
            published_at=NOW,
        )  # fmt: skip
        label = [str(example.label)]
        label_give(document=document, question="sentiment", values=label, actor=ADA)
        label_give(document=document, question="entity", values=label, actor=ADA, end=first)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """ml_core's commands run here: a dozen processes that each import torch would be most of the test's time."""

    def run(arguments: list[str], *, directory: Path, tick: Any, **_: Any) -> Ended:
        output = io.StringIO()
        with contextlib.chdir(directory), contextlib.redirect_stdout(output):
            assert main(arguments) == 0
        tick()
        return Ended(output=output.getvalue(), peak_memory_mb=0)

    for module in ("runs", "evaluations"):
        monkeypatch.setattr(f"rootstock.modelhub.{module}.run_command", run)


def refusals(cycle: LoopCycle) -> list[str]:
    """What the gate did not pass, in its words."""
    return [
        f"{head.model}: {verdict['check']}: {verdict['detail']}"
        for head in heads_of(cycle)
        if head.report is not None
        for verdict in head.report.verdicts
        if not verdict["passed"]
    ]


@pytest.fixture
def here(live_db: None, organisation: Organisation, artifacts: Path) -> Iterator[Organisation]:
    return organisation


@pytest.mark.slow
def test_labels_become_deployed_models_that_share_an_encoder(
    here: Organisation, tiny: Path, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rootstock.modelhub.gate.loads.load_version",
        lambda _path, digest: SimpleNamespace(digest=digest),
    )
    with organisation_scope(here.pk):
        label_documents(120)
        for name in ("finance.sentiment", "finance.entity_sentiment"):
            gate_policy_update(deployment=name, checks={"latency": {"enabled": False}}, actor=ADA)
        assert loop_get().step == "start"
        options = {"base": str(tiny), "epochs": 4.0}
        cycle = cycle_start(actor=ADA, options=options, queue_job=False)
        with pytest.raises(Problem, match="under way"):
            cycle_start(actor=ADA)

    done = cycle_run_now(cycle=cycle, on_progress=lambda *_: None)

    with organisation_scope(here.pk):
        assert (done.state, done.error) == ("waiting", ""), refusals(done)
        assert done.document_count == 120
        assert done.encoder is not None
        assert done.encoder.task == "masked-language-model"
        heads = {head.question: head for head in heads_of(done)}
        assert set(heads) == {"sentiment", "entity"}
        assert {head.version.parent for head in heads.values() if head.version} == {done.encoder}
        assert loop_get().step == "decide"
        assert not Deployment.objects.exists()
        cycle_deploy(cycle=done, actor=ADA)
        deployed = {row.name: row.version for row in Deployment.objects.all()}
        assert deployed == {head.model: head.version for head in heads.values()}
        state = loop_get()
        assert (state.step, state.new_labels) == ("label", 0)
        assert {lesson.is_newest for lesson in state.lessons if lesson.version} == {True}
        figure = next(row.figure for row in state.lessons if row.question == "sentiment")
        assert figure is not None
        follows_from_what_is_deployed(here, heads["sentiment"].version)


def follows_from_what_is_deployed(organisation: Organisation, version: Any) -> None:
    """A correction goes into the same data set, and the next cycle goes on from the deployed encoder."""
    label_give(
        document=Document.objects.latest("id"), question="sentiment", values=["neutral"], actor=BOB
    )
    second = cycle_start(actor=ADA, options={"adapts": False})
    assert second.new_labels == 1
    cycle_collect(
        cycle=second, scope=lambda: organisation_scope(organisation.pk), on_progress=lambda *_: None
    )
    Job.objects.filter(pk=second.job_id).update(state="succeeded")
    cycle_advance(cycle_id=second.pk)
    second.refresh_from_db()
    assert second.state == "training"
    runs = [head.run for head in heads_of(second)]
    assert {run.parent for run in runs} == {version}
    assert len({run.together for run in runs}) == 1
    assert {run.snapshot.number for run in runs} == {1, 2}
    cycle_cancel(cycle=second, actor=ADA)
    assert {run.current_state for run in TrainingRun.objects.filter(together=runs[0].together)} == {
        "cancelled"
    }


def test_what_cannot_be_learned_says_why(scope: Organisation, artifacts: Path) -> None:
    with pytest.raises(Problem, match="Nobody has labelled"):
        cycle_start(actor=ADA)
    label_documents(1)
    cycle = cycle_start(actor=ADA)
    assert cycle.job is not None
    cycle_advance(cycle_id=cycle.pk)
    cycle.refresh_from_db()
    assert cycle.state == "collecting"
    cycle_collect(
        cycle=cycle, scope=lambda: organisation_scope(scope.pk), on_progress=lambda *_: None
    )
    Job.objects.filter(pk=cycle.job.pk).update(state="succeeded")
    cycle_advance(cycle_id=cycle.pk)
    cycle.refresh_from_db()
    assert cycle.state == "failed"
    assert "label" in cycle.error


def test_a_cycle_is_looked_after_and_can_be_stopped(scope: Organisation, artifacts: Path) -> None:
    label_documents(2)
    cycle = cycle_start(actor=ADA)
    assert OutboxMessage.objects.filter(topic="finance.loop.advance").count() == 1
    cycle_advance(cycle_id=cycle.pk)
    assert OutboxMessage.objects.filter(topic="finance.loop.advance").count() == 1
    stopped = cycle_cancel(cycle=cycle, actor=ADA)
    assert stopped.state == "cancelled"
    assert Job.objects.get(pk=cycle.job_id).state == "cancelled"
    with pytest.raises(Problem, match="ended"):
        cycle_cancel(cycle=stopped, actor=ADA)


def test_the_clock_begins_a_cycle_when_enough_was_said(
    scope: Organisation, artifacts: Path
) -> None:
    loop_settings_update(values={"enabled": True, "least_labels": 6}, actor=ADA)
    LoopSettings.objects.update(next_cycle_at=NOW - timedelta(hours=1))
    label_documents(2)
    loop_run_due()
    assert not LoopCycle.objects.exists()
    assert LoopSettings.objects.get().next_cycle_at > NOW
    label_documents_more()
    LoopSettings.objects.update(next_cycle_at=NOW - timedelta(hours=1))
    loop_run_due()
    assert LoopCycle.objects.get().actor_kind == "system"


def label_documents_more() -> None:
    for document in Document.objects.all():
        label_give(
            document=document,
            question="sentiment",
            values=["neutral"],
            actor=BOB,
        )


def test_pages_and_rest_show_the_loop(scope: Organisation, artifacts: Path, make_user: Any) -> None:
    label_documents(2)
    client = Client()
    client.force_login(make_user(scope, "manager", "ada@example.com"))
    page = client.get("/public-opinion/learning/").content.decode()
    assert "Start a cycle" in page
    assert "4" in page
    assert client.get("/public-opinion/labels/").status_code == 200
    assert client.post("/public-opinion/learning/candidates/").status_code == 302
    changed = client.patch(
        "/api/v1/finance/loop", {"every_days": 3}, content_type="application/json"
    )
    assert changed.json()["every_days"] == 3
    bad = client.patch("/api/v1/finance/loop", {"base": "../etc"}, content_type="application/json")
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (422, "/base")
    refused = client.post("/public-opinion/learning/settings/", {"every_days": "0"})
    assert refused.status_code == 422
    started = client.post("/api/v1/finance/loop/cycles", {}, content_type="application/json")
    assert (started.status_code, started.json()["state"]) == (202, "collecting")
    state = client.get("/api/v1/finance/loop").json()
    assert (state["step"], state["labels"]) == ("wait", 4)
    assert state["cycle"]["id"] == started.json()["id"]
    assert "Collect labels for cycle 1" in client.get("/public-opinion/learning/").content.decode()
    stopped = client.post("/public-opinion/learning/act/", {"act": "cancel", "cycle": "1"})
    assert stopped.status_code == 302
    listed = client.get("/api/v1/finance/loop/cycles").json()["results"]
    assert [each["state"] for each in listed] == ["cancelled"]
