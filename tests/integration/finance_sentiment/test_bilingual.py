"""The demonstration scores Chinese as soon as the installation has a base that reads it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.finance_sentiment import inference, tasks
from apps.finance_sentiment.demo import setup
from apps.finance_sentiment.demo.headlines import load_headlines
from apps.finance_sentiment.models import Document
from apps.finance_sentiment.services import requeueing
from ml_core.models import Predictor
from ml_core.registry import Artifact
from ml_core.serving import ClassifyRequest, ClassifyResult, ModelInfo
from ml_core.training import TrainConfig, train
from rootstock.common.actors import SYSTEM
from rootstock.modelhub import first_models
from rootstock.modelhub.models import Deployment, ModelVersion, TrainingRun
from rootstock.modelhub.services import version_promote, version_register, version_rollback
from rootstock.modelhub.storage import absolute_path
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.scope import organisation_scope

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
CHINESE = "央行宣布下调存款准备金率零点五个百分点"


# --- what was unscored is scored -----------------------------------------------------------------


def page(organisation: Any, make_user: Callable[..., Any]) -> str:
    client = Client()
    client.force_login(make_user(organisation))
    return client.get(reverse("finance:live")).content.decode()


def test_only_what_a_model_reads_now_is_asked_again(db, score, drain, models):
    score({"title": CHINESE}, {"title": "🚀🚀🚀"}, {"title": "Bank wins"})
    assert requeueing.documents_requeue() == 0
    models.languages = ("en", "zh")
    assert requeueing.documents_readable().count() == 1
    assert requeueing.documents_requeue() == 1
    drain()
    assert sorted(Document.objects.values_list("status", flat=True)) == [
        "scored",
        "scored",
        "unscored",
    ]
    assert Document.objects.get(title=CHINESE).topics == ["other"]
    assert requeueing.documents_requeue() == 0


def test_topics_are_added_when_a_topic_model_comes_later(db, score, drain, models):
    models.deployed = {inference.SENTIMENT}
    score({"title": "Bank wins"})
    assert Document.objects.get().topics == []
    models.deployed = {inference.SENTIMENT, inference.TOPIC}
    assert requeueing.documents_requeue() == 1
    drain()
    assert Document.objects.get().topics == ["credit"]


def test_the_live_page_offers_to_score_what_has_become_readable(  # noqa: PLR0917 - fixtures
    db, organisation, score, drain, models, make_user
):
    score({"title": CHINESE})
    assert "came before a model" not in page(organisation, make_user)
    models.languages = ("en", "zh")
    assert "One headline came before a model was deployed that reads it." in page(
        organisation, make_user
    )


# --- the demonstration on a tiny base ------------------------------------------------------------


def write_bilingual_base(path: Path) -> Path:
    """A two-layer BERT, 32 wide, with random weights, that knows the words and characters of the headlines."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    texts = " ".join(headline.text.lower() for headline in load_headlines())
    pieces = sorted(set(re.findall(r"[a-z0-9]+|[^\sa-z0-9]", texts)))
    vocabulary = {
        piece: number for number, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *pieces])
    }
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(path)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"vocab_size": len(vocabulary), "intermediate_size": 64}
    config = BertConfig(**sizes, max_position_embeddings=128)
    BertModel(config).save_pretrained(path)
    return path


class LocalClient:
    """The inference process without the process."""

    def __init__(self) -> None:
        self.predictors: dict[str, Predictor] = {}

    def load(self, path: Path) -> ModelInfo:
        artifact = Artifact.open(path)
        manifest = artifact.manifest
        return ModelInfo(
            model=str(path),
            digest=artifact.digest,
            task=manifest.task,
            labels=manifest.labels,
            languages=manifest.languages,
            max_length=manifest.max_length,
            size_bytes=artifact.size_bytes,
        )

    def classify(self, requests: list[ClassifyRequest], **_: Any) -> list[ClassifyResult]:
        results = []
        for request in requests:
            path = str(request.model)
            self.predictors.setdefault(path, Predictor.load(path))
            predictions = tuple(self.predictors[path].predict(request.texts))
            results.append(ClassifyResult(path, "", predictions))
        return results


def train_here(run: TrainingRun, tell: Any) -> ModelVersion:
    """As `training_run_now`, in this process and without the reports: the training process has tests of its own."""
    with organisation_scope(run.organisation_id):
        run = TrainingRun.objects.select_related("snapshot__dataset").get(pk=run.pk)
        examples = list(run.snapshot.dataset.examples.values("text", "label"))
    path = f"versions/{run.pk}"
    source = absolute_path("rows").with_suffix(".csv")
    with source.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(examples)
    values = {"train": source, "out": absolute_path(path), "epochs": 1, "max_length": 48}
    train(TrainConfig.from_mapping({**values, "languages": run.config["languages"]}))
    with organisation_scope(run.organisation_id):
        return version_register(
            name=run.name, artifact_path=path, actor=SYSTEM, snapshot=run.snapshot, run=run
        )


@pytest.fixture
def demo(  # noqa: PLR0917 - fixtures
    live_db: None,
    organisation: Any,
    tmp_path: Path,
    artifacts: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], Deployment]:
    """Runs the demonstration's models and says what is deployed for the sentiment then."""
    settings.VAR = tmp_path / "var"
    client = LocalClient()
    monkeypatch.setattr("rootstock.modelhub.inference._client", lambda *_: client)
    monkeypatch.setattr("rootstock.outbox.services.publish", lambda *_: True)
    monkeypatch.setattr(first_models, "training_run_now", train_here)
    monkeypatch.setattr(
        setup, "_QUESTIONS", {inference.SENTIMENT: setup._QUESTIONS[inference.SENTIMENT]}
    )
    monkeypatch.setattr(
        setup, "_DATA_SETS", {inference.SENTIMENT: setup._DATA_SETS[inference.SENTIMENT]}
    )
    base = write_bilingual_base(tmp_path / "tiny")
    monkeypatch.setenv("ROOTSTOCK_DEFAULT_BASES", f"en={base}")

    def run() -> Deployment:
        setup.datasets_setup(organisation, lambda _: None)
        setup.models_setup(organisation, lambda _: None)
        with organisation_scope(organisation.pk):
            return Deployment.objects.select_related("version").get()

    return run


@pytest.mark.slow
def test_with_a_base_that_reads_chinese_the_demonstration_scores_it(  # noqa: PLR0917 - fixtures
    demo, organisation, post, drain, tmp_path, monkeypatch
):
    """First there is no such base: English alone. Then there is one, and what had waited is scored."""
    monkeypatch.setattr("ml_core.models.bases._has_mini", lambda: False)
    first = demo()
    assert (first.version.languages, first.version.label) == (["en"], "finance.sentiment v1")
    with organisation_scope(organisation.pk):
        post({"title": CHINESE})
    drain()
    with organisation_scope(organisation.pk):
        assert Document.objects.get().unscored_reason == "language"
    monkeypatch.setenv("ROOTSTOCK_DEFAULT_BASES", str(tmp_path / "tiny"))
    second = demo()
    assert sorted(second.version.languages) == ["en", "zh"]
    with organisation_scope(organisation.pk):
        assert second.version.snapshot.dataset.language == "mixed"
        assert OutboxMessage.objects.filter(topic=requeueing.REQUEUE_TOPIC).count() == 1
        tasks.requeue({})
    drain()
    with organisation_scope(organisation.pk):
        document = Document.objects.get()
        assert document.status == "scored"
        assert document.sentiment in ("negative", "neutral", "positive")
        assert document.models_used[0]["version"] == "finance.sentiment v2"
        OutboxMessage.objects.all().delete()
        version_rollback(deployment=second, actor=SYSTEM)
        assert OutboxMessage.objects.filter(topic=requeueing.REQUEUE_TOPIC).count() == 1
        version = ModelVersion.objects.get(number=2)
        version_promote(version=version, actor=SYSTEM, force=True, reason="again")
    assert demo().version.number == 2, "nothing is trained again"
