"""The training form, the run, the comparison and reports of every kind, as people see them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from modelhub_helpers import ACTOR, make_dataset, make_snapshot

from rootstock.modelhub import services
from rootstock.modelhub.models import Dataset, ModelVersion, Task, TrainingFile, TrainingRun
from rootstock.modelhub.training_settings import settable_options
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

RECIPES = Path(__file__).parents[3] / "docs" / "recipes"
SCORES = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 10}
SLICES = [
    {
        "name": "length: 1-20", "column": "length", "value": "1-20", "count": 9, "metric": "accuracy", "score": 0.7,
        "interval": [0.5, 0.9], "enough": False,
    }
]  # fmt: skip
# One report of each kind: what is in it, and the words that must be on the page.
REPORTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "multi-label": (
        {"headline": "micro_f1", "micro_f1": 0.81, "labels": ["up"],
         "per_label": {"up": {**SCORES, "threshold": 0.4, "auroc": 0.9, "average_precision": 0.8}},
         "worst_errors": [{"text": "it rose", "labels": ["up"], "predicted": [], "confidence": 0.9, "line": 1}],
         "reliability": [{"low": 0.9, "high": 1.0, "count": 9, "confidence": 0.95, "accuracy": 0.9}], "slices": SLICES},
        ["Micro F1", "81.0 %", "it rose", "Said from", "40 %", "too few to judge", "report-reliability"],
    ),
    "tagging": (
        {"headline": "f1", "f1": 0.723, "intervals": {"f1": [0.7, 0.75]}, "labels": ["ORG"],
         "per_label": {"ORG": SCORES},
         "tokens": {"count": 9, "accuracy": 0.97, "per_tag": {"I-ORG": SCORES, "O": SCORES, "B-ORG": SCORES},
                    "averages": {"micro": {"precision": 0.97, "recall": 0.97, "f1": 0.973},
                                 "macro": {"precision": 0.9, "recall": 0.9, "f1": 0.909}}},
         "worst_errors": [{"text": "Acme fell", "missed": ["ORG: Acme"], "invented": [], "line": 3}]},
        ["F1 of entities", "72.3 %", "70.0 %", "I-ORG", "97.3", "90.9", "macro average", "ORG: Acme"],
    ),
    "pairs": (
        {"headline": "spearman", "spearman": 0.812,
         "worst_errors": [{"first": "one text", "second": "another", "truth": 1.0, "score": 0.1, "line": 1}]},
        ["Spearman", "0.812", "one text", "another"],
    ),
    "ranking": (
        {"headline": "ndcg_at_10", "ndcg_at_10": 0.456, "ndcg_at_5": 0.4, "hit_at_1": 0.3, "candidates": 50.0,
         "worst_errors": [{"query": "who?", "relevant": ["this"], "ranked": ["that"], "place": 7, "line": 1}]},
        ["nDCG@10", "45.6 %", "who?", "that"],
    ),
    "generation": (
        {"headline": "chrf", "chrf": 31.25, "bleu": 8.0, "perplexity": 12.0,
         "worst_errors": [{"prompt": "hello?", "reference": "good day", "generated": "no", "chrf": 3.0, "line": 1}]},
        ["chrF", "31.25", "hello?", "good day"],
    ),
    "language-model": (
        {"headline": "log_likelihood", "log_likelihood": -2.5, "perplexity": 12.18},
        ["Log-likelihood", "-2.5", "12.18"],
    ),
}  # fmt: skip


@pytest.fixture
def page(
    organisation: Organisation, make_user: Callable[..., Any], artifacts: Any
) -> Callable[..., str]:
    client = Client()
    client.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")

    def get(path: str, data: dict[str, Any] | None = None, *, status: int = 200) -> str:
        ask = client.get if data is None else client.post
        response = ask(path, data, follow=True)
        assert response.status_code == status, response.content.decode()[:3000]
        return response.content.decode().replace("\u202f", " ")

    get.client = client  # type: ignore[attr-defined]
    return get


@pytest.fixture
def dataset(organisation: Organisation, artifacts: Any) -> Dataset:
    with organisation_scope(organisation.pk):
        return make_dataset(count=60)


def train(dataset: Dataset) -> str:
    return f"/models/data-sets/{dataset.pk}/train/"


def runs(organisation: Organisation) -> list[TrainingRun]:
    with organisation_scope(organisation.pk):
        return list(TrainingRun.objects.select_related("snapshot").order_by("number"))


def test_the_form_has_the_options_of_the_task(page: Any, dataset: Dataset) -> None:
    html = page(train(dataset))
    for name in ("method", "adversarial", "contrastive_epochs", "rules", "pretrain_epochs", "ewc"):
        assert f'name="{name}"' in html
    for name in ("train", "out", "device", "max_new_tokens", "gazetteer"):
        assert f'name="{name}"' not in html
    first = html.index('name="epochs"')
    assert first < html.index("<summary>"), "what matters most comes before the groups"
    assert "Passes over the training data" in html


def test_chinese_texts_are_warned_about_only_where_no_base_reads_them(
    page: Any,
    dataset: Dataset,
    organisation: Organisation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROOTSTOCK_DEFAULT_BASES", raising=False)
    warning = "For Chinese texts name a base that can read them"
    monkeypatch.setattr("ml_core.models.bases._MINI_DIRECTORY", tmp_path)
    assert warning not in page(train(dataset))
    with organisation_scope(organisation.pk):
        dataset.language = "mixed"
        dataset.save()
    assert warning in page(train(dataset))
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    shown = page(train(dataset))
    assert warning not in shown
    assert '<option value="rootstock-mini">' in shown


@pytest.mark.parametrize("task", Task.values)
def test_the_form_is_chinese_on_a_chinese_page(
    page: Any, organisation: Organisation, task: str
) -> None:
    with organisation_scope(organisation.pk):
        dataset = services.dataset_create(name=task, task=task, actor=ACTOR)
    page.client.cookies["django_language"] = "zh-hans"
    html = page(train(dataset))
    for option in settable_options(task, offered=True):
        assert option.help not in html, f"{option.name} is explained in English"
        assert f'<code class="key">{option.name}</code>' in html, "documents use this name"
    helps = re.findall(r'<div class="helptext"[^>]*>(.*?)</div>', html, re.DOTALL)
    assert len(helps) > 20
    assert [each for each in helps if not re.search(r"[\u4e00-\u9fff]", each)] == []
    groups = re.findall(r"<summary>(.*?)</summary>", html)
    assert "数据" in groups
    assert [each for each in groups if not re.search(r"[\u4e00-\u9fff]", each)] == []


def test_a_run_names_its_options_in_the_language_of_the_page(
    page: Any, dataset: Dataset, organisation: Organisation
) -> None:
    form = {"name": "a", "learning_rate": "0.001", "method": "lora", "merge_adapter": "true"}
    page(train(dataset), form)
    page(train(dataset), {"name": "b", "search": "schedule: [cosine, linear]", "trials": "2"})
    single, search = runs(organisation)
    assert "Learning rate <code" in page(f"/models/runs/{single.pk}/")
    page.client.cookies["django_language"] = "zh-hans"
    html = page(f"/models/runs/{single.pk}/")
    assert '学习率 <code class="key">learning_rate</code>' in html
    assert "<dd>LoRA</dd>" in html
    assert "<dd>是</dd>" in html
    assert "余弦衰减 (cosine), 线性衰减 (linear)" in page(f"/models/runs/{search.pk}/")
    html = page(f"/models/runs/compare/?item=run:{single.pk}&item=run:{search.pk}")
    assert '微调方法 <code class="key">method</code>' in html


def test_a_run_with_its_options_and_a_file(
    page: Any, dataset: Dataset, organisation: Organisation
) -> None:
    html = page(
        train(dataset),
        {
            "name": "finance.sentiment", "epochs": "2", "method": "lora", "augmentation": ["typo", "swap"],
            "r_drop": "1", "pseudo_labels": "", "merge_adapter": "true",
            "synonyms-file": SimpleUploadedFile("words.txt", b"rise,climb\n"),
        },
    )  # fmt: skip
    assert "words.txt" in html, "the run's settings name the file, not its id"
    [run] = runs(organisation)
    with organisation_scope(organisation.pk):
        file = TrainingFile.objects.get()
    assert run.config == {
        "epochs": 2, "method": "lora", "augmentation": ["typo", "swap"], "r_drop": 1.0, "merge_adapter": True,
        "synonyms": f"file:{file.pk}",
    }  # fmt: skip


def test_a_mistake_is_said_at_its_field(
    page: Any, dataset: Dataset, organisation: Organisation
) -> None:
    html = page(train(dataset), {"name": "a", "label_smoothing": "1"}, status=422)
    assert "must be below 1" in html
    html = page(
        train(dataset),
        {"name": "a", "rules-file": SimpleUploadedFile("rules.yaml", b"nonsense: [")},
        status=422,
    )
    assert "rules.yaml" not in html or "error" in html
    html = page(train(dataset), {"name": "a", "search": "epochs: many"}, status=422)
    assert "list of values" in html
    assert runs(organisation) == []


def test_a_recipe_fills_the_form(page: Any, dataset: Dataset, organisation: Organisation) -> None:
    recipe = "task: text-classification\nepochs: 7\nmethod: adapter\nrules: /etc/rules.yaml\nmerge_adapter: true\n"
    html = page(train(dataset), {"recipe": recipe})
    assert re.search(r'name="epochs" value="7"', html)
    assert re.search(r'<option value="adapter"\s+selected', html)
    assert "they name files" in html
    assert "rules" in html
    assert page(train(dataset), {"recipe": "- a list"}, status=422)
    for path in sorted(RECIPES.glob("*.yaml")):
        page(train(dataset), {"recipe": path.read_text(encoding="utf-8")})
    assert runs(organisation) == []


def test_a_search_shows_what_it_tried(
    page: Any, dataset: Dataset, organisation: Organisation
) -> None:
    space = "epochs: [1, 2]\nlearning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}\n"
    page(train(dataset), {"name": "a", "search": space, "trials": "3"})
    [run] = runs(organisation)
    assert (run.trial_count, run.is_search) == (3, True)
    with organisation_scope(organisation.pk):
        TrainingRun.objects.filter(pk=run.pk).update(
            headline="macro_f1",
            trials=[
                {"number": 0, "options": {"epochs": 1, "learning_rate": 0.001}, "score": 0.61, "state": "complete"},
                {"number": 1, "options": {"epochs": 2, "learning_rate": 0.002}, "score": 0.83, "state": "complete"},
                {"number": 2, "options": {"epochs": 2, "learning_rate": 0.01}, "score": None, "state": "pruned"},
            ],
        )  # fmt: skip
    html = page(f"/models/runs/{run.pk}/")
    assert html.index("83.0 %") < html.index("61.0 %"), "the best first"
    assert "Ended early" in html
    assert "run-loss" not in html
    assert "83.0 %" in page("/models/runs/")


def test_starting_from_a_version(page: Any, dataset: Dataset, organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        snapshot = services.snapshot_create(dataset=dataset, actor=ACTOR)
        version = make_version(snapshot, "finance.sentiment", Task.TEXT_CLASSIFICATION, {})
    html = page(f"{train(dataset)}?start=whole:{version.pk}")
    assert re.search(rf'<option value="whole:{version.pk}"\s+selected', html)
    page(
        train(dataset), {"name": "b", "start": f"whole:{version.pk}", "snapshot": str(snapshot.pk)}
    )
    page(train(dataset), {"name": "b", "start": f"encoder:{version.pk}"})
    first, second = runs(organisation)
    assert (first.goes_on, first.parent_id, first.snapshot_id) == (True, version.pk, snapshot.pk)
    assert (second.goes_on, second.parent_id) == (False, version.pk)


def test_runs_are_compared(page: Any, dataset: Dataset, organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        snapshot = services.snapshot_create(dataset=dataset, actor=ACTOR)
        for method in ("lora", "full"):
            services.training_start(
                snapshot=snapshot, name="a.b", actor=ACTOR, config={"method": method}
            )
        versions = [
            make_version(snapshot, name, Task.TEXT_CLASSIFICATION, {"headline": "macro_f1", "macro_f1": value})
            for name, value in (("one", 0.71), ("two", 0.82))
        ]  # fmt: skip
    first, second = runs(organisation)
    html = page(f"/models/runs/compare/?item=run:{first.pk}&item=run:{second.pk}")
    assert "differs" in html
    assert "LoRA" in html
    query = "&".join(f"item=version:{each.pk}" for each in versions)
    html = page(f"/models/runs/compare/?{query}")
    assert "71.0 %" in html
    assert "Test two v1 against one v1" in html
    body = {"first": str(versions[0].pk), "second": str(versions[1].pk), "item": query}
    body["item"] = [f"version:{each.pk}" for each in versions]  # type: ignore[assignment]
    assert "being made" in page("/models/runs/compare/start/", body)
    assert "Choose two to six" in page(f"/models/runs/compare/?item=run:{first.pk}")
    page(f"/models/runs/compare/?item=run:{first.pk}&item=version:{first.pk}", status=404)


@pytest.mark.parametrize("kind", sorted(REPORTS))
def test_every_kind_of_report_is_a_page(
    kind: str, page: Any, organisation: Organisation, artifacts: Path
) -> None:
    report, words = REPORTS[kind]
    with organisation_scope(organisation.pk):
        snapshot = make_snapshot(count=60)
        version = make_version(
            snapshot, "a", Task.TEXT_CLASSIFICATION, {"kind": kind, "count": 30, **report}
        )
    html = page(f"/models/versions/{version.pk}/")
    for word in words:
        assert word in html


def make_version(snapshot: Any, name: str, task: str, report: dict[str, Any]) -> ModelVersion:
    return ModelVersion.objects.create(
        name=name, number=1, task=task, labels=["a"], languages=["en"], base="packaged", artifact_path=name,
        digest="0", size_bytes=1, metrics={"test": report} if report else {}, snapshot=snapshot,
        actor_kind="user", actor_id="1", actor_label="Ada",
    )  # fmt: skip
