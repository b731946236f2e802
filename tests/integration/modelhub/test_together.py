"""Several models on one encoder: what is asked for, what is refused, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from modelhub_helpers import ACTOR, COMMON, OPTIONS, WORDS, make_examples, make_snapshot
from test_runs_api import Api

from rootstock.jobs import runner
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.modelhub import services
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import Dataset, ModelVersion, Snapshot, TrainingRun
from rootstock.modelhub.together import together_now
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

BASE = "/api/v1/models"


def make_spans(count: int = 60) -> Dataset:
    """Texts with a stretch of each kind. Call it inside a scope."""
    dataset = services.dataset_create(name="mentions", actor=ACTOR, task="span-classification")
    rows = []
    for number in range(count):
        up, down = WORDS["positive"][number % 6], WORDS["negative"][number // 6 % 6]
        first = f"{COMMON[number % 10]} {up}"
        second = f"{COMMON[number // 10]} {down}"
        spans = [
            {"start": 0, "end": len(first), "label": "positive"},
            {"start": len(first) + 1, "end": len(first) + 1 + len(second), "label": "negative"},
        ]
        rows.append(services.NewExample(content={"text": f"{first} {second}", "spans": spans}))
    services.examples_add(dataset=dataset, examples=rows, actor=ACTOR)
    return dataset


def snapshots() -> tuple[Snapshot, Snapshot]:
    labels = make_snapshot(count=90)
    return labels, services.snapshot_create(dataset=make_spans(), actor=ACTOR)


def heads(*names: str) -> list[services.Head]:
    first, second = snapshots()
    return [services.Head(first, names[0]), services.Head(second, names[1])]


def test_each_head_gets_a_run_and_all_share_a_job(scope: Organisation, artifacts: Path) -> None:
    runs = services.together_start(
        heads=heads("finance.sentiment", "finance.entity_sentiment"),
        config={"epochs": 2, "head_start": "fitted"},
        actor=ACTOR,
    )

    assert len({run.together for run in runs}) == 1
    assert len({run.job_id for run in runs}) == 1
    # One that only classifiers have is for the classifier.
    assert [run.config for run in runs] == [{"epochs": 2, "head_start": "fitted"}, {"epochs": 2}]

    services.training_cancel(run=runs[1], actor=ACTOR)
    assert {run.current_state for run in TrainingRun.objects.all()} == {"cancelled"}
    services.training_resume(run=runs[0], actor=ACTOR)
    again = list(TrainingRun.objects.select_related("job"))
    assert {run.current_state for run in again} == {"queued"}
    assert len({run.job_id for run in again}) == 1
    assert again[0].job_id != runs[0].job_id


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"epochs": -1}, "/config/epochs"),
        ({"method": "lora"}, "/config/method"),
        ({"epoch": 1}, "/config/epoch"),
    ],
)
def test_what_cannot_be_shared_is_refused_with_its_place(
    scope: Organisation, artifacts: Path, config: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(ModelhubError) as caught:
        services.together_start(heads=heads("a.b", "a.c"), config=config, actor=ACTOR)

    assert caught.value.errors[0]["pointer"] == pointer
    assert not TrainingRun.objects.exists()


def test_two_models_of_one_name_are_refused(scope: Organisation, artifacts: Path) -> None:
    with pytest.raises(ModelhubError) as caught:
        services.together_start(heads=heads("a.b", "a.b"), actor=ACTOR)

    assert caught.value.errors[0]["pointer"] == "/heads/1/name"


def test_the_api_starts_them(
    organisation: Organisation, make_key: Callable[..., str], artifacts: Path
) -> None:
    api = Api(make_key(organisation))
    with organisation_scope(organisation.pk):
        first, second = snapshots()
    body = {
        "heads": [
            {"snapshot": str(first.pk), "name": "finance.sentiment"},
            {
                "snapshot": str(second.pk),
                "name": "finance.entity_sentiment",
                "config": {"dropout": 0.2},
            },
        ],
        "config": {"epochs": 1},
    }

    answer = api.post(f"{BASE}/together", body)

    assert answer.status_code == 201, answer.content
    said = answer.json()
    assert [run["name"] for run in said["runs"]] == [
        "finance.sentiment",
        "finance.entity_sentiment",
    ]
    assert said["runs"][1]["config"] == {"epochs": 1, "dropout": 0.2}
    listed = api.get(f"{BASE}/runs?together={said['together']}").json()["results"]
    assert len(listed) == 2
    body["heads"][1]["config"] = {"epochs": 3}
    refused = api.post(f"{BASE}/together", body)
    assert refused.status_code == 422
    assert "epochs: must be the same" in refused.json()["errors"][0]["detail"]


def test_the_page_starts_what_was_ticked(
    organisation: Organisation, make_user: Callable[..., Any], artifacts: Path
) -> None:
    client = Client()
    client.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")
    with organisation_scope(organisation.pk):
        labels = services.dataset_create(name="headlines", actor=ACTOR)
        services.examples_add(dataset=labels, examples=make_examples(60), actor=ACTOR)
        spans = make_spans()
    page = client.get("/models/runs/together/")
    assert b"headlines" in page.content and b"mentions" in page.content

    one = client.post(
        "/models/runs/together/", {f"use-{labels.pk}": "on", f"name-{labels.pk}": "a.b"}
    )
    assert one.status_code == 422
    answer = client.post(
        "/models/runs/together/",
        {
            f"use-{labels.pk}": "on",
            f"name-{labels.pk}": "finance.sentiment",
            f"use-{spans.pk}": "on",
            f"name-{spans.pk}": "finance.entity_sentiment",
            "epochs": "1",
        },
    )

    assert answer.status_code == 302
    run = client.get(answer["Location"])
    assert b"finance.entity_sentiment" in run.content


@pytest.mark.slow
def test_a_job_trains_evaluates_and_registers_all(
    live_db: None, organisation: Organisation, artifacts: Path, var: Path, tiny_base: Path
) -> None:
    with organisation_scope(organisation.pk):
        runs = services.together_start(
            heads=heads("finance.sentiment", "finance.entity_sentiment"),
            config=OPTIONS | {"epochs": 3},
            actor=ACTOR,
        )
        for run in runs:
            # A path as base is for tests only, so it is put in behind the service.
            run.config = {**run.config, "base": str(tiny_base)}
            run.save()
        job = jobs.job_claim(runs[0].job_id)
    assert job is not None

    runner.execute(job)

    with organisation_scope(organisation.pk):
        assert Job.objects.get(pk=job.pk).state == "succeeded"
        done = list(TrainingRun.objects.select_related("version").order_by("number"))
        assert [run.version.name for run in done] == [
            "finance.sentiment",
            "finance.entity_sentiment",
        ]
        for run in done:
            assert run.state == "succeeded"
            assert run.headline == "macro_f1"
            metrics = [point.metrics for point in run.points.all() if point.metrics]
            assert len(metrics) == 3
            assert all(set(each) == {"macro_f1", "loss"} for each in metrics)
            assert "test" in run.version.metrics
    assert not (var / "training" / str(runs[0].pk) / "checkpoints").exists()


@pytest.mark.slow
def test_what_fails_fails_for_all(
    live_db: None, organisation: Organisation, artifacts: Path, var: Path, tiny_base: Path
) -> None:
    from rootstock.modelhub.training_process import TrainingFailed

    with organisation_scope(organisation.pk):
        runs = services.together_start(
            heads=heads("a.b", "a.c"), config={"epochs": 1}, actor=ACTOR, queue_job=False
        )
        for run in runs:
            run.config = {**run.config, "base": str(tiny_base / "nothing")}
            run.save()

    with pytest.raises(TrainingFailed, match="no such model directory"):
        together_now(runs)

    with organisation_scope(organisation.pk):
        assert {run.state for run in TrainingRun.objects.all()} == {"failed"}
        assert not ModelVersion.objects.exists()
