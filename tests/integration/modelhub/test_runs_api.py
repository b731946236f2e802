"""REST of training: options by task, files by rows, starts, searches, comparisons, what to label next."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from modelhub_helpers import ACTOR, make_snapshot

from rootstock.modelhub import services
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import Comparison, ModelVersion, Snapshot, TrainingFile, TrainingRun
from rootstock.modelhub.pairing import compare_answers
from rootstock.tenancy.models import Organisation

BASE = "/api/v1/models"
RULES = b"rules:\n  - name: up\n    label: positive\n    phrases: [rises]\n"


class Api:
    """A client with a key of the organisation."""

    def __init__(self, key: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {key}"})

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.client.post(path, json.dumps(body), content_type="application/json")


@pytest.fixture
def api(organisation: Organisation, make_key: Callable[..., str], artifacts: Path) -> Api:
    return Api(make_key(organisation))


@pytest.fixture
def snapshot(scope: Organisation, artifacts: Path) -> Snapshot:
    return make_snapshot(count=60)


def rules_file() -> TrainingFile:
    return services.training_file_create(
        option="rules", name="rules.yaml", chunks=[RULES], actor=ACTOR
    )


def start(snapshot: Snapshot, **options: Any) -> TrainingRun:
    return services.training_start(
        snapshot=snapshot, name="finance.sentiment", actor=ACTOR, **options
    )


def pointer(caught: pytest.ExceptionInfo[ModelhubError]) -> str:
    return caught.value.errors[0]["pointer"]


def test_every_method_of_training_is_an_option_of_its_task(api: Api) -> None:
    answer = api.get(f"{BASE}/training-options?task=text-classification")
    options = {option["name"]: option for option in answer.json()}
    assert {
        "method",
        "adversarial",
        "r_drop",
        "mixup",
        "contrastive_epochs",
        "ewc",
        "rules",
    } <= set(options)
    assert not {"train", "out", "checkpoints", "device", "previous", "items"} & set(options)
    assert options["method"]["choices"][:2] == ["full", "lora"]
    assert options["epochs"]["first"]
    assert options["learning_rate"]["label"] == "Learning rate"
    assert options["learning_rate"]["help"].startswith("Peak learning rate")
    assert options["unlabelled"]["takes"] == ["dataset", "file"]
    generation = api.get(f"{BASE}/training-options?task=text-generation").json()
    names = {option["name"] for option in generation}
    assert "max_new_tokens" in names
    assert "r_drop" not in names


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"rules": "/etc/passwd"}, "rules"),
        ({"rules": "../../secret.yaml"}, "rules"),
        ({"unlabelled": f"snapshot:{uuid.uuid4()}"}, "unlabelled"),
        ({"rules": f"file:{uuid.uuid4()}"}, "rules"),
        ({"replay": f"snapshot:{uuid.uuid4()}"}, "replay"),
        ({"train": "/data/all.jsonl"}, "train"),
        ({"reporting_directory": "/srv"}, "reporting_directory"),
        ({"base": "/models/other"}, "base"),
        ({"epochs": -1}, "epochs"),
        ({"epoks": 3}, "epoks"),
        ({"max_new_tokens": 3}, "max_new_tokens"),
        ({"lora_rank": "many"}, "lora_rank"),
    ],
)
def test_what_is_refused_names_the_option(
    snapshot: Snapshot, config: dict[str, Any], place: str
) -> None:
    with pytest.raises(ModelhubError) as caught:
        start(snapshot, config=config)
    assert pointer(caught) == f"/config/{place}"
    assert not TrainingRun.objects.exists()


def test_a_run_is_started_with_any_option(api: Api, snapshot: Snapshot) -> None:
    file = rules_file()
    config = {
        "method": "lora", "lora_rank": 4, "augmentation": ["typo"], "rules": f"file:{file.pk}",
        "unlabelled": f"dataset:{snapshot.dataset_id}", "merge_adapter": True, "learning_rate": 0.001,
    }  # fmt: skip
    answer = api.post(
        f"{BASE}/runs", {"snapshot": str(snapshot.pk), "name": "a.b", "config": config}
    )
    assert answer.status_code == 201, answer.content
    assert answer.json()["config"] == config
    wrong = api.post(
        f"{BASE}/runs", {"snapshot": str(snapshot.pk), "name": "a.b", "config": {"epoks": 3}}
    )
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "/config/epoks"
    assert "epochs" in wrong.json()["errors"][0]["detail"]


def test_a_file_is_read_when_it_is_uploaded(api: Api, scope: Organisation, artifacts: Path) -> None:
    good = api.client.post(
        f"{BASE}/training-files",
        {"option": "rules", "file": SimpleUploadedFile("rules.yaml", RULES)},
    )
    assert good.status_code == 201, good.content
    assert good.json()["reference"] == f"file:{good.json()['id']}"
    for option, name, content in (
        ("rules", "rules.yaml", b"rules:\n  - name: x\n    pattern: '('\n    label: a\n"),
        ("rules", "rules.exe", RULES),
        ("synonyms", "words.txt", b"alone\n"),
        ("label_descriptions", "labels.yaml", b"- a\n- b\n"),
        ("verbalisers", "words.yaml", b"positive: []\n"),
        ("unlabelled", "texts.jsonl", b'{"nothing": 1}\n'),
        ("synonyms", "words.txt", b"\xff\xfe"),
    ):
        with pytest.raises(ModelhubError) as caught:
            services.training_file_create(option=option, name=name, chunks=[content], actor=ACTOR)
        assert pointer(caught) == "/file"
        assert str(artifacts) not in caught.value.message
    kept = list((artifacts / str(scope.pk) / "training-files").iterdir())
    assert len(kept) == 1, "nothing of a refused file stays"


def test_a_file_that_a_run_waits_for_stays(snapshot: Snapshot) -> None:
    file = rules_file()
    run = start(snapshot, config={"rules": f"file:{file.pk}"})
    with pytest.raises(Conflict, match="needs this file"):
        services.training_file_delete(file=file, actor=ACTOR)
    services.training_cancel(run=run, actor=ACTOR)
    services.training_file_delete(file=file, actor=ACTOR)
    assert not TrainingFile.objects.exists()


@pytest.mark.parametrize(
    "space",
    [
        {},
        {"train": ["a"]},
        {"method": {"low": 1, "high": 2}},
        {"learning_rate": {"low": 1e-3, "high": 1e-5}},
        {"learning_rate": {"low": 0, "high": 1e-3, "log": True}},
        {"epochs": []},
        {"epochs": [1, "many"]},
        {"rules": ["file:x"]},
    ],
)
def test_a_search_that_cannot_be_made_is_refused(snapshot: Snapshot, space: dict[str, Any]) -> None:
    with pytest.raises(ModelhubError) as caught:
        start(snapshot, space=space, trials=4)
    assert pointer(caught).startswith("/space")


def test_a_search_is_a_run_of_its_own_kind(api: Api, snapshot: Snapshot) -> None:
    body = {
        "snapshot": str(snapshot.pk), "name": "a.b", "trials": 3,
        "space": {"epochs": [1, 2], "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
    }  # fmt: skip
    answer = api.post(f"{BASE}/runs", body)
    assert answer.status_code == 201, answer.content
    assert (answer.json()["trial_count"], answer.json()["trials"]) == (3, [])
    assert TrainingRun.objects.get().job.kind == "modelhub.search"


def version_of(snapshot: Snapshot, name: str, figures: dict[str, Any]) -> ModelVersion:
    return ModelVersion.objects.create(
        name=name, number=1, task="text-classification", labels=["a"], languages=[], base="packaged",
        artifact_path="x", digest="0", size_bytes=1, metrics={"test": figures}, snapshot=snapshot,
        actor_kind="user", actor_id="1", actor_label="Ada",
    )  # fmt: skip


def test_versions_side_by_side(api: Api, snapshot: Snapshot) -> None:
    run = start(snapshot, config={"epochs": 2, "method": "lora"})
    score = {"precision": 1.0, "recall": 1.0, "support": 3}
    first = version_of(
        snapshot, "a",
        {"headline": "macro_f1", "macro_f1": 0.7, "intervals": {"macro_f1": [0.6, 0.8]},
         "per_label": {"x": {"f1": 0.9, **score}, "y": {"f1": 0.5, **score}}},
    )  # fmt: skip
    second = version_of(
        snapshot, "b",
        {"headline": "macro_f1", "macro_f1": 0.8,
         "per_label": {"x": {"f1": 0.9, **score}, "y": {"f1": 0.7, **score}}},
    )  # fmt: skip
    query = f"item=version:{first.pk}&item=version:{second.pk}&item=run:{run.pk}"
    found = api.get(f"{BASE}/compare?{query}").json()
    assert [item["label"] for item in found["items"]] == ["a v1", "b v1", "finance.sentiment · 1"]
    assert found["figures"][0]["name"] == "macro_f1"
    assert found["figures"][0]["values"][0] == {"value": 0.7, "low": 0.6, "high": 0.8}
    assert found["figures"][0]["values"][2] is None
    assert found["labels"][0]["label"] == "y", "where they differ most"
    option = next(row for row in found["options"] if row["name"] == "method")
    assert option == {"name": "method", "values": ["full", "full", "lora"], "differ": True}
    assert not found["same_part"]

    job = api.post(f"{BASE}/comparisons", {"first": str(first.pk), "second": str(second.pk)})
    assert job.status_code == 202, job.content
    same = api.post(f"{BASE}/comparisons", {"first": str(first.pk), "second": str(first.pk)})
    assert same.status_code == 422
    assert api.get(f"{BASE}/compare?item=run:{run.pk}").status_code == 422
    missing = api.get(f"{BASE}/compare?item=run:{run.pk}&item=run:{uuid.uuid4()}")
    assert missing.status_code == 404
    assert not Comparison.objects.exists()


def test_pairs_of_answers_are_tested() -> None:
    truth = [{"label": "a" if n % 2 else "b"} for n in range(100)]
    worse = [{"label": "a"} for _ in truth]
    found = compare_answers("text-classification", truth, worse, truth)
    assert found["accuracy"]["difference"] == pytest.approx(0.5)
    assert found["accuracy"]["low"] > 0.3
    assert found["accuracy"]["p_value"] < 0.01

    tagged = [{"tags": ["B-ORG", "I-ORG", "O"]}, {"tags": ["O", "B-PER", "O"]}] * 20
    nothing = [{"tags": ["O", "O", "O"]}] * 40
    assert compare_answers("token-classification", tagged, nothing, tagged)["f1"]["difference"] == 1
    sets = [{"labels": ["a", "b"]}, {"labels": []}] * 20
    same = compare_answers("multi-label-classification", sets, sets, sets)
    assert same["micro_f1"]["difference"] == 0
    asked = [{"prompt": "?", "response": "a good answer"}] * 10
    said = [{"response": "another thing"}] * 10
    assert compare_answers("text-generation", asked, asked, said)["chrf"]["high"] < 0


def test_what_to_label_next_needs_texts_without_a_label(api: Api, snapshot: Snapshot) -> None:
    version = version_of(snapshot, "a", {"macro_f1": 0.5})
    body = {"dataset": str(snapshot.dataset_id)}
    full = api.post(f"{BASE}/versions/{version.pk}/select", body)
    assert full.status_code == 422
    assert "has a label" in full.json()["errors"][0]["detail"]
    services.examples_add(
        dataset=snapshot.dataset,
        examples=[services.NewExample(text="nobody knows this one")],
        actor=ACTOR,
    )
    assert api.post(f"{BASE}/versions/{version.pk}/select", body).status_code == 202
