"""A classifier that also says what it was not made for, and how robust it is."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from ml_core_helpers import COMMON, make_rows, write_csv

from ml_core.__main__ import main
from ml_core.data import DataError
from ml_core.registry import Artifact, ArtifactError
from ml_core.training import ConfigError, TrainConfig, train

Options = dict[str, object]


def strange_texts(count: int, *, seed: int) -> list[dict[str, str]]:
    """No word tells a label, most are unknown."""
    generator = random.Random(seed)
    words = [*COMMON[:2], "zebra", "violin", "rain", "soup", "moon"]
    return [{"text": " ".join(generator.choices(words, k=9))} for _ in range(count)]


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def learned(tiny_options: Options, tmp_path_factory: pytest.TempPathFactory) -> Options:
    """Options of a run from a base that has learned the task, so that none needs many epochs."""
    directory = tmp_path_factory.mktemp("scope")
    long_rows = write_csv(directory / "train.csv", make_rows(400))
    base = train(
        TrainConfig(**(tiny_options | {"train": long_rows, "epochs": 5}), out=directory / "base")
    )
    return tiny_options | {
        "train": long_rows,
        "validation_fraction": 0.25,
        "base": str(base.path),
        "epochs": 0,
        "head_start": "fitted",
        "out_of_scope": write_jsonl(directory / "strange.jsonl", strange_texts(60, seed=1)),
    }


def test_scope_is_told_after_saving_and_loading(
    learned: Options, test_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ml_core.models import Predictor
    from ml_core.tasks import predictor_class

    test_strange = write_jsonl(tmp_path / "test.jsonl", strange_texts(80, seed=2))
    aurocs = {}
    for score in ("energy", "combined", "mahalanobis"):
        artifact = train(TrainConfig(**learned, out_of_scope_score=score, out=tmp_path / score))
        has_arrays = "out_of_scope.safetensors" in artifact.manifest.files
        assert has_arrays == (score != "energy")
        kept = artifact.manifest.calibration["out_of_scope"]
        assert kept["score"] == score
        assert "temperature" in artifact.manifest.calibration
        assert artifact.manifest.options["out_of_scope"]["out_of_scope"] == 60

        command = ["evaluate", str(artifact.path), "--data", str(test_csv), "--device", "cpu"]
        assert main([*command, "--out-of-scope", str(test_strange)]) == 0
        report = json.loads(capsys.readouterr().out.splitlines()[-1])
        found = report["out_of_scope"]
        assert (found["in_scope"], found["out_of_scope"]) == (90, 80)
        assert found["wanted_accuracy"] == 0.95
        assert {"auroc", "fpr_at_95_tpr", "recall_at_accuracy", "out_of_scope_recall"} <= set(found)
        assert found["intervals"]["auroc"][0] <= found["auroc"] <= found["intervals"]["auroc"][1]
        aurocs[score] = found["auroc"]

        rows = (
            predictor_class("text-classification")
            .load(artifact, device="cpu")
            .predict_rows(
                [*strange_texts(40, seed=3), *({"text": text} for text, _ in make_rows(40, seed=4))]
            )
        )
        assert all(
            row["in_scope"] == (row["out_of_scope_score"] >= kept["threshold"]) for row in rows
        )
        strange, fitting = (
            sum(row["in_scope"] for row in part) / 40 for part in (rows[:40], rows[40:])
        )
        assert fitting > strange
        texts = [text for text, _ in make_rows(20, seed=4)]
        predictor = Predictor.load(artifact, device="cpu")
        np.testing.assert_allclose(
            predictor.judge(texts).probabilities, predictor.probabilities(texts), atol=1e-5
        )
    assert max(aurocs.values()) > 0.8

    assert main([*command, "--out-of-scope", str(test_strange), "--markdown"]) == 0
    assert "## Out of scope" in capsys.readouterr().out
    assert main(["predict", str(artifact.path), "--data", str(test_strange)]) == 0
    assert isinstance(json.loads(capsys.readouterr().out.splitlines()[0])["in_scope"], bool)


def test_a_validation_part_of_few_rows_fits_nothing(artifact: Artifact) -> None:
    assert artifact.manifest.calibration == {}


def test_the_threshold_is_what_was_asked_for(learned: Options, tmp_path: Path) -> None:
    plain = learned | {"out_of_scope": None}
    artifact = train(TrainConfig(**plain, out=tmp_path / "recall"))
    assert artifact.manifest.options["out_of_scope"]["in_scope_recall"] == pytest.approx(
        0.95, abs=0.011
    )
    artifact = train(TrainConfig(**learned, in_scope_accuracy=0.5, out=tmp_path / "half"))
    found = artifact.manifest.options["out_of_scope"]
    assert found["in_scope_accuracy"] == pytest.approx(0.5, abs=0.011)
    artifact = train(TrainConfig(**learned, in_scope_accuracy=1.0, out=tmp_path / "all"))
    problem = artifact.manifest.options["out_of_scope"].get("problem", "")
    assert "cannot be had" in problem or artifact.manifest.metrics["accuracy"] == 1


def test_bad_wishes_are_named_before_any_training(learned: Options, tmp_path: Path) -> None:
    few = write_jsonl(tmp_path / "few.jsonl", strange_texts(3, seed=0))
    with pytest.raises(DataError, match="3 texts that fit no label; at least 4"):
        train(TrainConfig(**(learned | {"out_of_scope": few}), out=tmp_path / "m"))
    with pytest.raises(DataError, match="no such file"):
        missing = learned | {"out_of_scope": tmp_path / "none.jsonl"}
        train(TrainConfig(**missing, out=tmp_path / "m"))
    best = learned | {"out_of_scope": None, "out_of_scope_score": "best"}
    with pytest.raises(ConfigError, match="out_of_scope: missing"):
        train(TrainConfig(**best, out=tmp_path / "m"))
    off = learned | {"out_of_scope_score": "none", "out_of_scope": None}
    silent = train(TrainConfig(**off, out=tmp_path / "off"))
    assert "out_of_scope" not in silent.manifest.calibration
    from ml_core.tasks.out_of_scope import evaluate_out_of_scope

    with pytest.raises(ArtifactError, match="cannot tell what is out of scope"):
        evaluate_out_of_scope(silent, few, few)


def test_robustness_on_the_command_line(
    artifact: Artifact, test_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = write_csv(tmp_path / "said.csv", [(make_rows(90, seed=1)[0][0], "shares falls loses")])
    said.write_text(said.read_text().replace("text,label", "text,paraphrase"))
    command = ["robustness", str(artifact.path), "--data", str(test_csv), "--device", "cpu"]
    assert main([*command, "--paraphrases", str(said)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "robustness"
    assert report["count"] == 90
    assert report["perturbations"]["paraphrase"]["changed"] >= 1
    assert report["perturbed_accuracy"] <= report["accuracy"] + 0.2
    assert main([*command, "--markdown", "--rate", "0.3"]) == 0
    assert "Perturbations" in capsys.readouterr().out
    bad = write_csv(tmp_path / "bad.csv", [("the bank", "furious")])
    assert main(["robustness", str(artifact.path), "--data", str(bad)]) == 2
    assert "'furious' is unknown to the model" in capsys.readouterr().err
