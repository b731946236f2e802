"""However the rows of a step are cut up, over batches or over processes, the same is learned."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from ml_core_helpers import COMMON, WORDS, make_rows, torchrun, write_csv

from ml_core.registry import Artifact
from ml_core.training import ConfigError, TrainConfig, TrainingError, train

Options = dict[str, object]


@pytest.fixture(scope="module")
def calm_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base without dropout: two ways to compute a step can be compared."""
    base = Path(shutil.copytree(tiny_base, tmp_path_factory.mktemp("calm") / "base"))
    config = json.loads((base / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps(config))
    return base


@pytest.fixture(scope="module")
def common(calm_base: Path) -> Options:
    # Plain gradient descent: Adam would blow rounding up to the size of a step.
    return {
        "base": str(calm_base), "dropout": 0.0, "optimiser": "sgd", "learning_rate": 0.05,
        "epochs": 2, "languages": ("en",), "device": "cpu", "max_length": 48, "keep": "last",
        "early_stopping_patience": 0, "calibration": "none",
    }  # fmt: skip


def classification(directory: Path) -> Options:
    rows = make_rows(44, seed=2)
    # Uneven labels, so that weights of classes matter.
    train_file = write_csv(
        directory / "rows.csv", [row for row in rows if row[1] != "neutral"] + rows[-6:]
    )
    return {
        "train": train_file,
        "validation": write_csv(directory / "dev.csv", make_rows(12, seed=4)),
        "class_weighting": "balanced",
    }


def tagging(directory: Path) -> Options:
    generator = random.Random(3)

    def write(name: str, count: int) -> Path:
        lines = []
        for _ in range(count):
            tokens = generator.choices(COMMON, k=generator.randint(2, 20))
            tags = ["O"] * len(tokens)
            for kind in ("positive", "negative"):
                tokens.append(generator.choice(WORDS[kind]))
                tags.append(f"B-{kind[:3].upper()}")
            lines.append(json.dumps({"tokens": tokens, "tags": tags}))
        (directory / name).write_text("\n".join(lines) + "\n")
        return directory / name

    return {
        "task": "token-classification",
        "train": write("rows.jsonl", 29),
        "validation": write("dev.jsonl", 8),
        "calibration": "fitted",
        "max_length": 32,
    }


def generation(directory: Path) -> Options:
    generator = random.Random(5)

    def write(name: str, count: int) -> Path:
        rows = [
            {
                "prompt": " ".join(generator.choices(COMMON, k=generator.randint(1, 6))),
                "response": " ".join(generator.choices(COMMON, k=generator.randint(1, 12))),
            }
            for _ in range(count)
        ]
        (directory / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return directory / name

    return {
        "task": "text-generation", "train": write("rows.jsonl", 29), "validation": write("dev.jsonl", 8),
        "base": "packaged", "weights": "random", "layers": 1, "hidden_size": 32, "heads": 2,
        "vocabulary_size": 300, "max_length": 64, "max_new_tokens": 4, "judged_replies": 2,
        "calibration": "fitted", "languages": None,
    }  # fmt: skip


DATA = {
    "text-classification": classification,
    "token-classification": tagging,
    "text-generation": generation,
}


def weights(artifact: Artifact) -> dict[str, object]:
    from safetensors.torch import load_file

    return dict(load_file(artifact.path / "model.safetensors"))


def close(first: Artifact, second: Artifact, tolerance: float) -> None:
    import torch

    there, here = weights(first), weights(second)
    assert there.keys() == here.keys()
    for name, tensor in there.items():
        torch.testing.assert_close(here[name], tensor, rtol=0, atol=tolerance, msg=name)


def moved(first: Artifact, second: Artifact) -> bool:
    there, here = weights(first), weights(second)
    return any(not there[name].equal(here[name]) for name in there)  # type: ignore[attr-defined]


@pytest.fixture
def in_file_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four batches of 4 hold the rows of one of 16."""

    def batches(lengths: list[int], *, batch_size: int, generator: object) -> list[list[int]]:
        places = list(range(len(lengths)))
        return [places[i : i + batch_size] for i in range(0, len(places), batch_size)]

    monkeypatch.setattr("ml_core.training.sampling.bucketed_batches", batches)


@pytest.mark.parametrize("task", DATA)
@pytest.mark.usefixtures("in_file_order")
def test_four_accumulated_batches_are_one_four_times_as_large(
    task: str, common: Options, tmp_path: Path
) -> None:
    """Whatever number of texts, words or tokens each batch has, the last ones of an epoch included."""
    options = common | DATA[task](tmp_path)
    found = [
        train(
            TrainConfig(
                **(options | {"batch_size": 16 // parts, "gradient_accumulation": parts}),
                out=tmp_path / str(parts),
            )
        )
        for parts in (1, 4)
    ]
    close(*found, tolerance=1e-6)
    start = train(TrainConfig(**(options | {"epochs": 0}), out=tmp_path / "start"))
    assert moved(start, found[0]), "something was learned at all"


@pytest.mark.usefixtures("in_file_order")
def test_balanced_labels_weigh_the_same(common: Options, tmp_path: Path) -> None:
    """A row of a label that is k times as rare pulls k times as much: repeating it k times is the same."""
    rows = [row for row in make_rows(60, seed=7) if row[1] != "neutral"]
    many = [row for row in rows if row[1] == "positive"][:12]
    few = [row for row in rows if row[1] == "negative"][:4]
    dev = write_csv(tmp_path / "dev.csv", rows)
    options = common | {"epochs": 1, "validation": dev, "clip_norm": 0}
    skewed = options | {
        "train": write_csv(tmp_path / "skewed.csv", many + few),
        "class_weighting": "balanced",
        "batch_size": 16,
    }
    even = options | {"train": write_csv(tmp_path / "even.csv", many + few * 3), "batch_size": 24}
    close(
        train(TrainConfig(**skewed, out=tmp_path / "a")),
        train(TrainConfig(**even, out=tmp_path / "b")),
        tolerance=1e-6,
    )


@pytest.mark.slow
def test_two_processes_are_one_with_the_double_batch(common: Options, tmp_path: Path) -> None:
    options = common | {
        # All texts of one length: the batches of two processes are then those of one.
        "train": write_csv(tmp_path / "rows.csv", equal_rows(64)),
        "validation": write_csv(tmp_path / "dev.csv", equal_rows(24, seed=1)),
    }
    alone = train(TrainConfig(**options, batch_size=64, out=tmp_path / "alone"))
    for sharding in ("none", "full"):
        out = tmp_path / sharding
        done = torchrun(options | {"batch_size": 32, "out": out}, sharding=sharding)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 1, "only the first process speaks"
        assert json.loads(done.stdout)["digest"] == Artifact.open(out).digest
        close(alone, Artifact.open(out), tolerance=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "alone", "dev.csv", "full", "none", "rows.csv",
    ]  # fmt: skip


def equal_rows(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    generator = random.Random(seed)
    labels = sorted(WORDS)
    return [
        (
            " ".join([*generator.choices(COMMON, k=6), WORDS[labels[row % 3]][row % 6]]),
            labels[row % 3],
        )
        for row in range(count)
    ]


def test_sharding_alone_or_with_checkpoints_is_refused(
    common: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = common | classification(tmp_path) | {"sharding": "full", "out": tmp_path / "m"}
    with pytest.raises(ConfigError, match="sharding: full needs several processes"):
        train(TrainConfig(**options))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="checkpoints: a sharded run keeps none"):
        train(TrainConfig(**options, checkpoints=tmp_path / "c"))


def test_what_cannot_be_computed_is_told_in_time(common: Options, tmp_path: Path) -> None:
    options = common | classification(tmp_path)
    with pytest.raises(TrainingError, match="learning_rate"):
        train(
            TrainConfig(
                **(options | {"learning_rate": 0.99, "clip_norm": 0, "epochs": 60}),
                head_learning_rate=0.99,
                weight_decay=1e30,
                out=tmp_path / "m",
            )
        )
    assert not (tmp_path / "m").exists()
