"""Training: options, determinism, accumulation, bad input, stopping."""

from __future__ import annotations

import random
from dataclasses import fields
from pathlib import Path

import pytest
from ml_core_helpers import make_rows, write_csv

from ml_core.data import DataError
from ml_core.evaluation import evaluate
from ml_core.models import BaseModelError
from ml_core.registry import Artifact, ArtifactError
from ml_core.training import (
    ConfigError,
    Progress,
    TrainConfig,
    TrainingCancelled,
    TrainingError,
    train,
    training_options,
)

Options = dict[str, object]


def config(options: Options, **changes: object) -> TrainConfig:
    return TrainConfig(**(options | {"epochs": 1} | changes))


def test_progress_tells_the_whole_story(tiny_options: Options, tmp_path: Path) -> None:
    seen: list[Progress] = []
    train(config(tiny_options, epochs=2, out=tmp_path / "a"), on_progress=seen.append)
    phases = [progress.phase for progress in seen]
    assert phases[:3] == ["load", "tokenise", "train"]
    assert phases[-1] == "save"
    steps = [progress.step for progress in seen]
    assert steps == sorted(steps)
    assert steps[-1] == seen[-1].total_steps == 14
    ends = [progress for progress in seen if progress.metrics]
    assert [progress.epoch for progress in ends] == [1.0, 2.0]
    assert {"accuracy", "macro_f1", "loss"} == set(ends[0].metrics or {})
    losses = [progress.loss for progress in seen if progress.phase == "train"]
    assert all(loss is not None and loss > 0 for loss in losses)


def test_the_same_seed_gives_the_same_model(tiny_options: Options, tmp_path: Path) -> None:
    digests = [
        train(config(tiny_options, out=tmp_path / name, seed=seed)).manifest.files[
            "model.safetensors"
        ]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_training_leaves_the_callers_random_numbers_alone(
    tiny_options: Options, tmp_path: Path
) -> None:
    import numpy as np
    import torch

    def draw() -> list[float]:
        return [*torch.rand(3).tolist(), *np.random.rand(3).tolist(), random.random()]

    def seed() -> None:
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)

    seed()
    expected = draw()
    seed()
    train(config(tiny_options, out=tmp_path / "a"))
    assert draw() == expected


def test_what_is_split_off_is_never_trained_on(tiny_options: Options, tmp_path: Path) -> None:
    """Labels drawn at random can be learned by heart, but only where they were seen."""
    generator = random.Random(1)
    rows = [(text, generator.choice("abc")) for text, _ in make_rows(300)]
    seen: list[Progress] = []
    options = tiny_options | {"train": write_csv(tmp_path / "random.csv", rows), "dropout": 0.0}
    train(
        config(options, epochs=40, early_stopping_patience=0, validation_fraction=0.3,
               out=tmp_path / "a"),
        on_progress=seen.append,
    )  # fmt: skip
    assert min(progress.loss for progress in seen if progress.loss) < 0.6
    assert max(p.metrics["accuracy"] for p in seen if p.metrics) < 0.55


def test_balanced_weights_help_a_rare_label(tiny_options: Options, tmp_path: Path) -> None:
    rows = make_rows(300)
    rare = [row for row in rows if row[1] == "negative"][:12]
    skewed = write_csv(tmp_path / "skewed.csv", [r for r in rows if r[1] != "negative"] + rare)
    even = write_csv(tmp_path / "even.csv", make_rows(90, seed=3))
    options = tiny_options | {"train": skewed, "validation": even, "epochs": 4}
    recall = {}
    for weighting in ("none", "balanced"):
        out = tmp_path / weighting
        artifact = train(config(options, out=out, epochs=4, class_weighting=weighting))
        recall[weighting] = evaluate(artifact, even).per_label["negative"].recall
    assert recall["balanced"] > recall["none"]


def test_training_goes_on_from_an_artefact(
    artifact: Artifact, tiny_options: Options, tmp_path: Path
) -> None:
    options = config(tiny_options, base=str(artifact.path), out=tmp_path / "child")
    child = train(options)
    assert child.manifest.parent == artifact.digest
    assert child.manifest.base == "tiny"
    assert str(artifact.path) not in (child.path / "manifest.json").read_text()
    assert artifact.manifest.parent is None


def test_early_stopping_keeps_the_best_epoch(tiny_options: Options, tmp_path: Path) -> None:
    seen: list[Progress] = []
    generator = random.Random(2)
    rows = [(text, generator.choice("abc")) for text, _ in make_rows(120)]
    guesses = tiny_options | {"train": write_csv(tmp_path / "random.csv", rows)}
    options = config(guesses, epochs=40, early_stopping_patience=1, out=tmp_path / "a")
    artifact = train(options, on_progress=seen.append)
    scores = [progress.metrics["macro_f1"] for progress in seen if progress.metrics]
    assert len(scores) < 40
    assert artifact.manifest.metrics["macro_f1"] == pytest.approx(max(scores), abs=1e-6)


BAD_DATA = {
    "one class": ([("a b", "x"), ("c d", "x")], None, "at least two labels"),
    "one row": ([("a b", "x")], None, "at least two labels"),
    "nothing to split off": ([("a", "x"), ("b", "y")], None, "none can be split off"),
    "unseen label": ([("a", "x"), ("b", "y")], [("c", "z")], "'z' is unknown to the training file"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_data_that_cannot_be_learned_from(case: str, tiny_options: Options, tmp_path: Path) -> None:
    rows, validation, problem = BAD_DATA[case]
    options = tiny_options | {"train": write_csv(tmp_path / "train.csv", rows)}
    if validation:
        options["validation"] = write_csv(tmp_path / "validation.csv", validation)
    with pytest.raises(DataError, match=problem):
        train(config(options, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_rows_without_labels_teach_nothing(tiny_options: Options, tmp_path: Path) -> None:
    unlabelled = tmp_path / "texts.csv"
    unlabelled.write_text("text\nprofit rises\nprofit falls\n")
    with pytest.raises(DataError, match="no column 'label'"):
        train(config(tiny_options | {"train": unlabelled}, out=tmp_path / "out"))
    half = write_csv(tmp_path / "half.csv", [("profit rises", "up"), ("profit falls", "")])
    with pytest.raises(DataError, match=r"half\.csv, line 3, .*the label is empty"):
        train(config(tiny_options | {"train": half}, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_two_rows_and_a_validation_file_are_enough(tiny_options: Options, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "two.csv", [("profit rises", "up"), ("profit falls", "down")])
    artifact = train(config(tiny_options | {"train": path}, validation=path, out=tmp_path / "a"))
    assert artifact.manifest.labels == ("down", "up")


def test_a_base_without_the_length_and_a_bad_device(tiny_options: Options, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_length: 500 is more than the 128"):
        train(config(tiny_options, max_length=500, out=tmp_path / "a"))
    with pytest.raises(ConfigError, match="abacus"):
        train(config(tiny_options, device="abacus", out=tmp_path / "a"))
    with pytest.raises(BaseModelError):
        train(config(tiny_options, base="./nothing", out=tmp_path / "a"))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cat.jpg").touch()
    with pytest.raises(ArtifactError, match="other files"):
        train(config(tiny_options, out=tmp_path / "a"))


def test_a_run_that_diverges_says_so(
    tiny_base: Path, tiny_options: Options, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    tensors = load_file(base / "model.safetensors")
    tensors["embeddings.LayerNorm.weight"] *= float("inf")
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match="learning_rate"):
        train(config(tiny_options, base=str(base), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("phase", ["load", "tokenise", "train", "evaluate"])
def test_stopping_leaves_nothing(tiny_options: Options, tmp_path: Path, phase: str) -> None:
    reached: list[str] = []
    out = tmp_path / "place" / "out"
    with pytest.raises(TrainingCancelled):
        train(
            config(tiny_options, out=out),
            on_progress=lambda progress: reached.append(progress.phase),
            should_stop=lambda: phase in reached,
        )
    assert reached[-1] == phase
    assert list(tmp_path.iterdir()) == []


def test_numbers_may_be_text_and_lists_may_be_commas(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "train: a.csv\nout: m\nlearning_rate: 2e-4\nlanguages: en, zh\nepochs: '3'\noverwrite: yes\n"
    )
    options = TrainConfig.from_yaml(path, epochs=5)
    assert options.learning_rate == 2e-4
    assert options.languages == ("en", "zh")
    assert options.epochs == 5
    assert options.overwrite is True
    assert options.train == Path("a.csv")
    assert TrainConfig.from_mapping(options.to_dict()) == options


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"epoch": 3}, "unknown option 'epoch'; did you mean 'epochs'"),
        ({"learn_rate": 3}, "did you mean 'learning_rate'"),
        ({"qqq": 3}, "unknown option 'qqq'$"),
        ({"train": None}, "train: missing"),
        ({"epochs": "three"}, "epochs: 'three' is not a whole number"),
        ({"epochs": 1.5}, "epochs: 1.5 is not a whole number"),
        ({"epochs": True}, "epochs: True is not a whole number"),
        ({"epochs": None}, "epochs: must have a value"),
        ({"epochs": -1}, "epochs: must be at least 0, not -1"),
        ({"batch_size": 0}, "batch_size: must be at least 1, not 0"),
        ({"learning_rate": -1}, "learning_rate: must be above 0, not -1"),
        ({"learning_rate": 1}, "learning_rate: must be below 1, not 1"),
        ({"learning_rate": "nan"}, "learning_rate: 'nan' is not a number"),
        ({"validation_fraction": 1}, "validation_fraction: must be below 1, not 1"),
        ({"layer_decay": 1.5}, "layer_decay: must be at most 1, not 1.5"),
        ({"task": "poetry"}, "task: must be one of text-classification, .*; not 'poetry'"),
        (
            {"class_weighting": "heavy"},
            "class_weighting: must be one of none, balanced; not 'heavy'",
        ),
        ({"augmentation": "typo,rhyme"}, "augmentation: must be one of .*; not 'rhyme'"),
        ({"reporting": ["email"]}, "reporting: must be one of .*; not 'email'"),
        ({"overwrite": "perhaps"}, "overwrite: 'perhaps' is not true or false"),
        ({"languages": ["en", 5]}, "languages: .* is not a list of names"),
        ({"base": 5}, "base: 5 is not text"),
    ],
)
def test_a_wrong_option_is_explained(changes: Options, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        TrainConfig.from_mapping({"train": "a.csv", "out": "m"} | changes)


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "text", b"\xff\xfe\x00"])
def test_a_file_that_is_no_options(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        TrainConfig.from_yaml(path)
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        TrainConfig.from_yaml(tmp_path / "none.yaml")


def test_every_option_explains_itself() -> None:
    assert {option.name for option in training_options()} == {
        field.name for field in fields(TrainConfig)
    }
    for option in training_options():
        assert len(option.help) > 10, option.name
        assert option.help.endswith("."), option.name


# An option that only some tasks have, and a value that is not its default.
FOREIGN = [
    ("token-classification", {"replay": "old.csv"}),
    ("token-classification", {"mixup": 0.4}),
    ("text-embedding", {"r_drop": 1.0}),
    ("text-embedding", {"class_weighting": "balanced"}),
    ("reranking", {"head_start": "fitted"}),
    ("reranking", {"augmentation": "typo"}),
    ("text-generation", {"rules": "rules.yaml"}),
    ("text-generation", {"case_features": "on"}),
    ("image-classification", {"adversarial": "fgm"}),
    ("image-classification", {"pseudo_labels": True}),
    ("next-item", {"calibration": "none"}),
    ("masked-language-model", {"label_smoothing": 0.1}),
    ("multi-label-classification", {"contrastive_epochs": 1}),
    ("text-classification", {"gazetteer": "names.csv"}),
    ("text-classification", {"packing": True}),
]


@pytest.mark.parametrize(("task", "changes"), FOREIGN)
def test_an_option_of_another_task_is_refused_by_name(task: str, changes: Options) -> None:
    (name,) = changes
    with pytest.raises(ConfigError, match=f"^{name}: is for .*; not for {task}$"):
        TrainConfig.from_mapping({"train": "a.csv", "out": "m", "task": task} | changes)


def test_the_manifest_names_data_by_hash(artifact: Artifact, train_csv: Path) -> None:
    from ml_core.registry.artifact import sha256_file

    recorded = artifact.manifest.config
    assert recorded["train"] == "train.csv"
    assert recorded["train_sha256"] == sha256_file(train_csv)
    assert recorded["train_examples"] + recorded["validation_examples"] == 240
    assert "torch" in artifact.manifest.libraries
