"""The rows on which two versions differ, on the page and by REST."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from modelhub_helpers import ACTOR, make_snapshot

from ml_core.evaluation import build_classification_report, build_tagging_report
from rootstock.modelhub import services
from rootstock.modelhub.differing import Differing, NotComparable, sheet_pair, sheet_pairs
from rootstock.modelhub.models import AnswerSheet, ModelVersion, Snapshot
from rootstock.modelhub.services.answers import answers_keep, answers_store
from rootstock.modelhub.storage import absolute_path
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

LABELS = ["negative", "neutral", "positive"]


def rows_of(snapshot: Snapshot) -> list[dict[str, Any]]:
    text = (absolute_path(snapshot.path) / "test.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def make_version(snapshot: Snapshot, name: str, **fields: Any) -> ModelVersion:
    values = {"number": 1, "task": snapshot.dataset.task, "labels": LABELS, "languages": ["en"]}
    values |= {"base": "packaged", "artifact_path": name, "digest": "0", "size_bytes": 1}
    values |= {"snapshot": snapshot, "actor_kind": "user", "actor_id": "1", "actor_label": "Ada"}
    return ModelVersion.objects.create(name=name, **(values | fields))


def answer(
    version: ModelVersion, snapshot: Snapshot, wrong: dict[int, float], tmp_path: Path
) -> None:
    """Keep answers that are right, but wrong in these places with this confidence."""
    truth = [row["label"] for row in rows_of(snapshot)]
    table = np.full((len(truth), 3), 0.02)
    for at, label in enumerate(truth):
        place = LABELS.index(label)
        sure = wrong.get(at, 0.96)
        table[at] = (1 - sure) / 2
        table[at, (place + 1) % 3 if at in wrong else place] = sure
    report = build_classification_report(truth, table, LABELS)
    assert report.answers is not None
    report.answers.write(tmp_path / "answers.gz")
    kept = answers_keep(version.organisation_id, tmp_path / "answers.gz")  # type: ignore[arg-type]
    answers_store(version=version, snapshot=snapshot, split="test", kept=kept)


@pytest.fixture
def pair(
    organisation: Organisation, artifacts: Path, tmp_path: Path
) -> tuple[ModelVersion, ModelVersion, Snapshot]:
    """Two versions and the part they have answered: one is wrong in rows 1 and 3, the other in 2 and 3."""
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=360)
        one, two = (make_version(snapshot, name) for name in ("one", "two"))
        answer(one, snapshot, {0: 0.6, 2: 0.9}, tmp_path)
        answer(two, snapshot, {1: 0.8, 2: 0.9, **dict.fromkeys(range(5, 32), 0.5)}, tmp_path)
    return one, two, snapshot


def test_rows_that_differ_are_listed_surest_mistakes_first(
    pair: tuple[ModelVersion, ModelVersion, Snapshot], organisation: Organisation
) -> None:
    one, two, snapshot = pair
    with organisation_scope(organisation.pk):
        truth = rows_of(snapshot)
        rows = Differing(*sheet_pair(one, two))
        assert (len(rows), rows.rows) == (29, len(truth)), "in row 3 both say the same"
        first, second = rows[0:2]
        assert (first.line, first.better, first.second_confidence) == (2, "first", 0.8)
        assert (first.text, first.truth) == (truth[1]["text"], truth[1]["label"])
        assert first.first == first.truth != first.second
        assert (second.line, second.better) == (1, "second")
        only = Differing(*sheet_pair(one, two), only="second")
        assert [row.line for row in only[0:9]] == [1]
        assert len(Differing(*sheet_pair(one, two), only="first")) == 28
        # Another version that has answered nothing belongs to no pair.
        three = make_version(snapshot, "three")
        assert len(sheet_pairs([three, two, one])) == 1
        with pytest.raises(NotComparable, match="not kept"):
            sheet_pair(one, three)


def test_the_page_lists_them_page_by_page(
    pair: tuple[ModelVersion, ModelVersion, Snapshot],
    organisation: Organisation,
    make_user: Callable[..., Any],
) -> None:
    one, two, _snapshot = pair
    client = Client()
    client.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")

    def page(more: str = "") -> str:
        address = f"/models/runs/compare/?item=version:{one.pk}&item=version:{two.pk}{more}"
        response = client.get(address)
        assert response.status_code == 200, response.content.decode()[:3000]
        return response.content.decode()

    html = page()
    assert "Rows on which they differ" in html
    assert "29 of 35 rows" in html
    assert "1 to 25 of 29" in html
    assert "26 to 29 of 29" in page("&page=2")
    html = page("&only=second")
    assert "1 of 35 rows" in html
    assert '<option value="second" selected>Only two v1 is right</option>' in html
    client.cookies["django_language"] = "en"
    with organisation_scope(organisation.pk):
        for sheet in AnswerSheet.objects.all():
            absolute_path(sheet.path).unlink(missing_ok=True)
    assert "cannot be read" in page()


def test_rest_lists_them(
    pair: tuple[ModelVersion, ModelVersion, Snapshot],
    organisation: Organisation,
    make_key: Callable[..., str],
) -> None:
    one, two, snapshot = pair
    client = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})
    address = f"/api/v1/models/compare/rows?first={one.pk}&second={two.pk}"
    found = client.get(address).json()
    assert (found["rows"], found["count"], len(found["results"])) == (35, 29, 29)
    assert (found["snapshot"], found["split"]) == (str(snapshot.pk), "test")
    assert found["results"][0]["line"] == 2
    more = client.get(f"{address}&only=first&offset=27&limit=5").json()
    assert (more["count"], len(more["results"])) == (28, 1)
    assert client.get(f"{address}&only=nobody").status_code == 422
    refused = client.get(f"{address}&split=validation")
    assert (refused.status_code, refused.json()["type"].rsplit(":", 1)[-1]) == (409, "no-answers")
    assert client.get(f"{address[:-4]}0000").status_code in {404, 422}


def test_answers_of_other_tasks_are_shown_in_words(
    organisation: Organisation, artifacts: Path, tmp_path: Path
) -> None:
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name="names", task="token-classification", actor=ACTOR)
        tags = ["B-ORG", "I-ORG", "O", "O"]
        examples = [
            services.NewExample(content={"tokens": f"Acme Bank rises {n}".split(), "tags": tags})
            for n in range(40)
        ]
        services.examples_add(dataset=dataset, examples=examples, actor=ACTOR)
        snapshot = services.snapshot_create(dataset=dataset, actor=ACTOR)
        truth = [row["tags"] for row in rows_of(snapshot)]
        versions = [make_version(snapshot, name, labels=[]) for name in ("one", "two")]
        for version, said in zip(versions, (tags, ["O", "O", "O", "O"]), strict=True):
            report = build_tagging_report(truth, [said] * len(truth))
            assert report.answers is not None
            report.answers.write(tmp_path / "answers.gz")
            kept = answers_keep(organisation.pk, tmp_path / "answers.gz")
            answers_store(version=version, snapshot=snapshot, split="test", kept=kept)
        rows = Differing(*sheet_pair(*versions))
        assert len(rows) == len(truth)
        row = rows[0]
    assert (row.first, row.second, row.truth) == ("Acme Bank (ORG)", "∅", "Acme Bank (ORG)")
    assert (row.better, row.first_confidence) == ("first", None)
    assert row.text.startswith("Acme Bank rises")


def test_a_data_set_that_is_deleted_takes_the_answers_with_it(
    pair: tuple[ModelVersion, ModelVersion, Snapshot],
    organisation: Organisation,
    artifacts: Path,
    django_capture_on_commit_callbacks: Any,
) -> None:
    """Of versions that stay, and were only measured on it."""
    one, _two, other = pair
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name="other", actor=ACTOR)
        examples = [services.NewExample(f"text {n} {'x' * n}", LABELS[n % 3]) for n in range(60)]
        services.examples_add(dataset=dataset, examples=examples, actor=ACTOR)
        snapshot = services.snapshot_create(dataset=dataset, actor=ACTOR)
        answer(one, snapshot, {}, artifacts)
        files = set((artifacts / str(organisation.pk) / "answers").iterdir())
        assert len(files) == 3
        with django_capture_on_commit_callbacks(execute=True):
            services.dataset_delete(dataset=dataset, actor=ACTOR)
        assert AnswerSheet.objects.count() == 2
        assert {sheet.snapshot_id for sheet in AnswerSheet.objects.all()} == {other.pk}
    assert len(set((artifacts / str(organisation.pk) / "answers").iterdir())) == 2
