"""The Models pages: what a person sees, who may change what, and what a mistake says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from modelhub_helpers import ACTOR, make_dataset, make_snapshot

from rootstock.modelhub import services
from rootstock.modelhub.models import Dataset, DatasetExample, ModelVersion, TrainingRun
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

REPORT = {
    "count": 30,
    "accuracy": 0.9,
    "macro_f1": 0.88,
    "macro_f1_interval": {"low": 0.8, "high": 0.94},
    "ece": 0.04,
    "labels": ["negative", "positive"],
    "per_label": {
        "negative": {"precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 10},
        "positive": {"precision": 0.9, "recall": 0.95, "f1": 0.92, "support": 20},
    },
    "confusion": [[8, 2], [1, 19]],
    "worst_errors": [
        {
            "text": "<b>Loss</b> narrows",
            "label": "positive",
            "predicted": "negative",
            "confidence": 0.97,
            "line": 4,
        }
    ],
}


@pytest.fixture
def page(
    organisation: Organisation, make_user: Callable[..., Any], artifacts: Any
) -> Callable[..., str]:
    """`page("/models/runs/")` gives the HTML that a signed-in owner sees."""
    client = Client()
    client.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")

    def get(path: str, data: dict[str, Any] | None = None, *, status: int = 200) -> str:
        ask = client.get if data is None else client.post
        response = ask(path, data, follow=True)
        assert response.status_code == status, response.content.decode()[:3000]
        return response.content.decode()

    get.client = client  # type: ignore[attr-defined]
    return get


def make_version(place: Callable[[], str], **fields: Any) -> ModelVersion:
    return services.version_register(
        name="finance.sentiment",
        artifact_path=place(),
        actor=ACTOR,
        metrics={"test": REPORT},
        **fields,
    )


def test_empty_pages_say_what_to_do_next(page: Callable[..., str]) -> None:
    assert "Make a data set" in page("/models/data-sets/")
    assert "To the data sets" in page("/models/runs/")
    assert "Train on a data set" in page("/models/versions/")
    assert "To the versions" in page("/models/deployments/")


def test_from_a_new_data_set_to_a_run(page: Callable[..., str], organisation: Organisation) -> None:
    html = page(
        "/models/data-sets/new/",
        {"name": "Headlines", "task": "text-classification", "language": "en"},
    )
    assert "Import a file" in html
    with organisation_scope(organisation.pk):
        dataset = Dataset.objects.get()
    rows = "".join(f"profit rises {n},positive\nprofit falls {n},negative\n" for n in range(20))
    content = f"text,label\n{rows},positive\n"
    html = page(
        f"/models/data-sets/{dataset.pk}/import/",
        {
            "file": SimpleUploadedFile("rows.csv", content.encode()),
            "text_column": "text",
            "label_column": "label",
        },
    )
    assert "the text is empty" in html
    assert ">42<" in html, "the line of the bad row"
    html = page(f"/models/data-sets/{dataset.pk}/")
    assert "Train on this" in html
    assert "50.0\u202f%" in html
    assert "profit rises 7" in page(f"/models/data-sets/{dataset.pk}/?q=RISES+7")
    html = page(f"/models/data-sets/{dataset.pk}/?label=negative")
    assert "profit rises" not in html
    form = {
        "name": "finance.sentiment",
        "epochs": "2",
        "validation_fraction": "0.1",
        "test_fraction": "0.1",
    }
    html = page(f"/models/data-sets/{dataset.pk}/train/", form | {"name": "Finance!"}, status=422)
    assert "Use small letters" in html
    html = page(f"/models/data-sets/{dataset.pk}/train/", form)
    assert "finance.sentiment · 1" in html
    with organisation_scope(organisation.pk):
        run = TrainingRun.objects.get()
        assert (run.config, run.state) == ({"epochs": 2}, "queued")
    assert "Cancelled" in page(f"/models/runs/{run.pk}/cancel/", {})
    assert "Headlines #1" in page("/models/runs/?state=cancelled")
    assert "No run in this state" in page("/models/runs/?state=running")


def test_a_file_in_another_encoding(page: Callable[..., str], organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        dataset = make_dataset(count=3)
    content = "text,label\n公司利润上升,positive\n".encode("gb18030")
    file = SimpleUploadedFile("rows.csv", content)
    html = page(
        f"/models/data-sets/{dataset.pk}/import/",
        {"file": file, "text_column": "text", "label_column": "label"},
        status=422,
    )
    assert "GBK" in html


def test_relabelling_in_the_table(page: Callable[..., str], organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        dataset = make_dataset(count=3)
        example = dataset.examples.order_by("id")[0]
        before = example.label
    path = f"/models/data-sets/{dataset.pk}/examples/{example.pk}/"
    row = page(path + "label/", {"label": "other"})
    assert row.startswith("<tr")
    assert f"was “{before}”" in row
    assert 'value="other"' in row
    assert "longer than" in page(path + "label/", {"label": "x" * 121})
    history = page(path)
    assert before in history
    page(path + "delete/", {})
    with organisation_scope(organisation.pk):
        assert not DatasetExample.objects.filter(pk=example.pk).exists()


def test_a_data_set_in_use_is_kept(page: Callable[..., str], organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
        services.training_start(snapshot=snapshot, name="a", actor=ACTOR)
    assert "1 training run" in page(f"/models/data-sets/{snapshot.dataset_id}/delete/", {})
    with organisation_scope(organisation.pk):
        assert Dataset.objects.exists()


def test_a_failed_run_says_why(page: Callable[..., str], organisation: Organisation) -> None:
    from rootstock.modelhub.services.training import run_ended

    with organisation_scope(organisation.pk):
        run = services.training_start(snapshot=make_snapshot(count=60), name="a", actor=ACTOR)
        run_ended(
            run=run, state="failed", error_code="out-of-memory", error="Too much.", log="<b>log</b>"
        )
    html = page(f"/models/runs/{run.pk}/")
    assert "Too much." in html
    assert "&lt;b&gt;log" in html


def test_deploy_refuse_overrule_and_roll_back(
    page: Callable[..., str],
    organisation: Organisation,
    place_artifact: Callable[[], str],
    loaded: list[str],
) -> None:
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
        good = make_version(place_artifact, snapshot=snapshot)
        worse = services.version_register(
            name="finance.sentiment",
            artifact_path=place_artifact(),
            actor=ACTOR,
            snapshot=snapshot,
            metrics={"test": {**REPORT, "macro_f1": 0.7}},
        )
    html = page(f"/models/versions/{good.pk}/")
    assert "88.0\u202f%" in html
    assert "&lt;b&gt;Loss" in html
    assert 'data-shade="8"' in html
    assert "Quality on the validation part" in html, "the model card"
    slot = {"deployment": "finance.sentiment", "reason": ""}
    assert "now serves finance.sentiment v1" in page(f"/models/versions/{good.pk}/deploy/", slot)
    html = page(f"/models/versions/{worse.pk}/deploy/", slot, status=422)
    assert "70.0 % against 88.0 %" in html
    assert "Deploy nevertheless" in html
    html = page(f"/models/versions/{worse.pk}/deploy/", slot | {"force": "on"}, status=422)
    assert "needs a reason" in html
    html = page(f"/models/versions/{worse.pk}/deploy/", slot | {"force": "on", "reason": "faster"})
    assert "now serves finance.sentiment v2" in html
    assert "overruled" in html
    html = page("/models/deployments/finance.sentiment/roll-back/", {"reason": "worse"})
    assert "serves finance.sentiment v1 again" in html
    assert "Rolled back" in html
    assert "finance.sentiment v1" in page("/models/deployments/")
    assert "finance.sentiment v2" in page("/models/versions/?name=finance.sentiment")


def test_a_viewer_reads_and_changes_nothing(
    organisation: Organisation,
    make_user: Callable[..., Any],
    artifacts: Any,
    place_artifact: Callable[[], str],
    loaded: list[str],
) -> None:
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
        version = make_version(place_artifact, snapshot=snapshot)
        services.version_promote(version=version, actor=ACTOR)
        run = services.training_start(snapshot=snapshot, name="a", actor=ACTOR)
        example = snapshot.dataset.examples.order_by("id")[0]
    client = Client()
    client.force_login(
        make_user(organisation, "viewer"), backend="django.contrib.auth.backends.ModelBackend"
    )
    dataset = f"/models/data-sets/{snapshot.dataset_id}/"
    for path in (
        "/models/data-sets/", dataset, "/models/runs/", f"/models/runs/{run.pk}/", "/models/versions/",
        f"/models/versions/{version.pk}/", "/models/deployments/", "/models/deployments/finance.sentiment/",
        f"{dataset}examples/{example.pk}/",
    ):  # fmt: skip
        response = client.get(path)
        assert response.status_code == 200, path
        html = response.content.decode()
        assert 'data-dialog-open="deploy"' not in html
        assert "hx-post" not in html
    for path in (
        "/models/data-sets/new/", f"{dataset}delete/", f"{dataset}import/", f"{dataset}train/",
        f"{dataset}examples/{example.pk}/label/", f"{dataset}examples/{example.pk}/delete/",
        f"/models/runs/{run.pk}/cancel/", f"/models/versions/{version.pk}/deploy/",
        "/models/deployments/finance.sentiment/roll-back/",
    ):  # fmt: skip
        assert client.post(path, {}).status_code == 403, path


def test_the_pages_of_another_organisation_are_not_there(
    page: Callable[..., str],
    organisation_b: Organisation,
    place_artifact: Callable[[], str],
    loaded: list[str],
) -> None:
    with organisation_scope(organisation_b.pk):
        snapshot = make_snapshot(count=60)
        version = make_version(place_artifact, snapshot=snapshot)
        services.version_promote(version=version, actor=ACTOR)
        run = services.training_start(snapshot=snapshot, name="a", actor=ACTOR)
    for path in (
        f"data-sets/{snapshot.dataset_id}/", f"runs/{run.pk}/", f"versions/{version.pk}/",
        "deployments/finance.sentiment/",
    ):  # fmt: skip
        page(f"/models/{path}", status=404)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_pages_in_both_languages(
    page: Callable[..., str], organisation: Organisation, language: str
) -> None:
    page.client.cookies["django_language"] = language  # type: ignore[attr-defined]
    with organisation_scope(organisation.pk):
        dataset = make_dataset(count=30)
    for path in ("data-sets/", f"data-sets/{dataset.pk}/", "runs/", "versions/", "deployments/"):
        page(f"/models/{path}")
