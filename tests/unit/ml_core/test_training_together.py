"""Several heads learned on one encoder: each is whole by itself, and serving computes their encoder once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_core_helpers import make_rows, write_csv
from serving_models import running
from test_span_classification import make_spans
from test_token_classification import make_sentences, write_conll

from ml_core.__main__ import main
from ml_core.commands import together
from ml_core.data import write_rows
from ml_core.registry import Artifact
from ml_core.serving.backends import EncoderBatch
from ml_core.serving.backends.artifacts import split_artifact
from ml_core.serving.protocol import PredictRequest
from ml_core.tasks import evaluate_artifact, predictor_class
from ml_core.training import (
    ConfigError,
    Progress,
    TrainConfig,
    TrainingCancelled,
    read_together,
    train_together,
)

HEADS = ("sentiment", "several", "entities", "mentions")


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, dict[str, Any]]:
    """The options of each head; "sentiment" and "several" are about the same texts."""
    directory = tmp_path_factory.mktemp("heads")
    rows = make_rows(120)
    write_rows(
        directory / "several.jsonl",
        [{"text": text, "labels": [label, "any"]} for text, label in rows],
    )
    write_rows(directory / "spans.jsonl", make_spans(100))
    shared = {
        "base": str(tiny_base),
        "max_length": 32,
        "learning_rate": 5e-3,
        "epochs": 5,
        "batch_size": 16,
        "languages": ("en",),
        "device": "cpu",
    }
    own: dict[str, dict[str, Any]] = {
        "sentiment": {"train": write_csv(directory / "train.csv", rows)},
        "several": {
            "train": directory / "several.jsonl",
            "task": "multi-label-classification",
        },
        "entities": {
            "train": write_conll(directory / "train.conll", make_sentences(100)),
            "task": "token-classification",
        },
        "mentions": {"train": directory / "spans.jsonl", "task": "span-classification"},
    }
    return {name: shared | options for name, options in own.items()}


def configs(heads: dict[str, dict[str, Any]], out: Path, **more: Any) -> list[TrainConfig]:
    return [TrainConfig(**{**heads[name], **more}, out=out / name) for name in HEADS]


@pytest.fixture(scope="module")
def told() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, heads: dict[str, dict[str, Any]], told: list[Progress]
) -> dict[str, Artifact]:
    out = tmp_path_factory.mktemp("together")
    found = train_together(configs(heads, out), on_progress=told.append)
    return dict(zip(HEADS, found, strict=True))


def test_every_head_has_learned_its_own_task(
    trained: dict[str, Artifact], heads: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    test = write_csv(tmp_path / "test.csv", make_rows(60, seed=1))
    spans = tmp_path / "test.jsonl"
    write_rows(spans, make_spans(40, seed=1))
    tagged = write_conll(tmp_path / "test.conll", make_sentences(40, seed=1))

    scores = {
        "sentiment": evaluate_artifact(trained["sentiment"], test).summary()["macro_f1"],
        "entities": evaluate_artifact(trained["entities"], tagged).summary()["f1"],
        "mentions": evaluate_artifact(trained["mentions"], spans).summary()["macro_f1"],
    }

    assert min(scores.values()) > 0.75, scores


def test_their_encoders_are_one(trained: dict[str, Artifact]) -> None:
    sources = set()
    for artifact in trained.values():
        parts = split_artifact(Artifact.open(artifact.path))
        assert parts is not None
        sources.add(parts.source.digest)

    assert len(sources) == 1
    assert len({artifact.digest for artifact in trained.values()}) == len(HEADS)


def test_progress_tells_each_heads_figure(
    trained: dict[str, Artifact], told: list[Progress]
) -> None:
    metrics = [each.metrics for each in told if each.metrics]

    assert len(metrics) >= 1
    named = {"sentiment/macro_f1", "several/micro_f1", "entities/f1", "mentions/macro_f1"}
    assert all(set(each) == {"mean", "loss", *named} for each in metrics)
    assert metrics[0]["mean"] == pytest.approx(
        np.mean([metrics[0][name] for name in named]), abs=1e-5
    )


def test_cards_and_manifests_say_with_whom(trained: dict[str, Artifact]) -> None:
    manifest = trained["sentiment"].manifest

    assert [each["name"] for each in manifest.options["together"]] == list(HEADS)
    assert "Trained together" in trained["sentiment"].card
    assert "temperature" not in manifest.calibration  # 12 validation rows say too little


@pytest.mark.asyncio
async def test_a_text_goes_through_the_encoder_once_for_all_heads(
    trained: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml_core.serving.backends.torch import TorchBackend

    seen: list[EncoderBatch] = []
    for name in ("pooled", "states"):
        real = getattr(TorchBackend, name)

        def counted(self: Any, batch: EncoderBatch, real: Any = real) -> Any:
            seen.append(batch)
            return real(self, batch)

        monkeypatch.setattr(TorchBackend, name, counted)
    text = "the bank rises today of a company falls"
    rows = {"mentions": [{"text": text, "spans": [[0, 14], [28, 39]]}]}
    asked = [PredictRequest(name, rows.get(name, [text])) for name in HEADS]

    async with running(trained["sentiment"].path.parent) as engine:
        for name in HEADS:
            await engine.load(name)
        seen.clear()
        results = await engine.predict(asked)
        assert len(engine.health().backbones) == 1

    assert sum(len(batch.token_ids) for batch in seen) == 1
    for name, result in zip(HEADS, results, strict=True):
        [alone] = (
            predictor_class(trained[name].manifest.task)
            .load(trained[name], device="cpu")
            .predict_rows([rows["mentions"][0] if name == "mentions" else {"text": text}])
        )
        said = result.outputs[0]
        if name == "mentions":
            assert [span["label"] for span in said["spans"]] == alone["labels"]
        elif name == "entities":
            assert [each["text"] for each in said["entities"]] == [
                each["text"] for each in alone["entities"]
            ]
        else:
            assert said["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-4)


def test_a_killed_run_goes_on_and_ends_the_same(
    heads: dict[str, dict[str, Any]], trained: dict[str, Artifact], tmp_path: Path
) -> None:
    steps: list[int] = []
    shared = {"checkpoints": tmp_path / "checkpoints", "checkpoint_minutes": 0.0, "epochs": 2}

    def follow(progress: Progress) -> None:
        if progress.phase == "train":
            steps.append(progress.step)

    with pytest.raises(TrainingCancelled):
        train_together(
            configs(heads, tmp_path / "out", **shared),
            on_progress=follow,
            should_stop=lambda: len(steps) > 3,
        )
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
    done = steps[-1]
    steps.clear()
    gone_on = train_together(configs(heads, tmp_path / "out", **shared), on_progress=follow)
    assert steps[0] >= done
    at_once = train_together(configs(heads, tmp_path / "whole", epochs=2))

    assert [each.digest for each in gone_on] == [each.digest for each in at_once]


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("sentiment", {"max_length": 16}, "max_length: must be the same"),
        ("several", {"learning_rate": None}, "learning_rate: must be the same"),
        ("sentiment", {"method": "lora"}, "method: is not for heads"),
        ("entities", {"case_features": "on"}, "case_features"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    heads: dict[str, dict[str, Any]],
    tmp_path: Path,
    name: str,
    change: dict[str, Any],
    problem: str,
) -> None:
    changed = {**heads, name: heads[name] | change}

    with pytest.raises(ConfigError, match=problem):
        train_together(configs(changed, tmp_path))


def test_one_head_alone_or_two_in_one_place_are_refused(
    heads: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    one = TrainConfig(**heads["sentiment"], out=tmp_path / "one")

    with pytest.raises(ConfigError, match="at least two"):
        train_together([one])
    with pytest.raises(ConfigError, match="directory of its own"):
        train_together([one, one])


def test_the_command_line_takes_one_file(
    heads: dict[str, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = ("train", "task")
    values = {key: value for key, value in heads["sentiment"].items() if key not in own}
    values |= {"epochs": 1, "languages": ["en"]}
    values["heads"] = [
        {
            "out": str(tmp_path / name),
            **{key: str(heads[name][key]) for key in own if key in heads[name]},
        }
        for name in ("sentiment", "mentions")
    ]
    source = tmp_path / "together.yaml"
    source.write_text(json.dumps(values))

    assert [config.task for config in read_together(source)] == [
        "text-classification",
        "span-classification",
    ]
    # The test process keeps its own way to be stopped.
    monkeypatch.setattr(together, "stop_on_signals", lambda: lambda: False)

    assert main(["together", "--config", str(source)]) == 0

    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    names = [Path(each["artifact"]).name for each in printed["artifacts"]]
    assert names == ["sentiment", "mentions"]
