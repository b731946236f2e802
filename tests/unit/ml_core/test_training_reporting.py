"""A run followed in TensorBoard, Weights & Biases or MLflow: its options, its curve and its end arrive there."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ml_core.training import (
    ConfigError,
    TrainConfig,
    TrainingCancelled,
    reporting,
    search_options,
    train,
)

_CURVE = {"train/loss", "train/learning_rate", "eval/macro_f1", "eval/loss", "final/macro_f1"}


class Tracked:
    """A tracker that remembers."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.points: list[tuple[str, int]] = []
        self.outcome = ""

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self.points += [(name, step) for name in figures]

    def close(self, outcome: str) -> None:
        assert not self.outcome, "closed once"
        self.outcome = outcome

    @property
    def names(self) -> set[str]:
        return {name for name, _step in self.points}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Tracked]:
    """The runs that were followed, in place of those of TensorBoard."""
    made: list[Tracked] = []

    def start(config: TrainConfig) -> Tracked:
        made.append(Tracked(config))
        return made[-1]

    monkeypatch.setitem(reporting._START, "tensorboard", start)
    return made


@pytest.fixture
def config(tiny_options: dict[str, Any], tmp_path: Path) -> TrainConfig:
    options = tiny_options | {"epochs": 2, "reporting": ("tensorboard",), "r_drop": 1.0}
    return TrainConfig(**options, out=tmp_path / "followed")


def changed(config: TrainConfig, **options: Any) -> TrainConfig:
    return TrainConfig.from_mapping(config.to_dict() | options)


def test_a_run_is_followed_to_its_end(config: TrainConfig, runs: list[Tracked]) -> None:
    train(config)
    [run] = runs
    assert run.outcome == "finished"
    assert run.names >= _CURVE
    steps = [step for name, step in run.points if name == "eval/macro_f1"]
    assert len(steps) == 2
    assert steps[0] * 2 == steps[1] == run.points[-1][1], "the final figures are at the last step"


def test_how_a_run_ended_is_told(config: TrainConfig, runs: list[Tracked]) -> None:
    with pytest.raises(TrainingCancelled):
        train(config, should_stop=lambda: bool(runs and runs[0].points))
    with pytest.raises(ConfigError):
        train(changed(config, method="lora", target_modules="none_such"))
    assert [run.outcome for run in runs] == ["stopped", "failed"]


def test_the_trainings_of_an_ensemble_are_kept_apart(
    config: TrainConfig, runs: list[Tracked]
) -> None:
    train(changed(config, ensemble=2, epochs=1, r_drop=0))
    [run] = runs
    assert {"eval/macro_f1", "member-2/eval/macro_f1"} <= run.names
    assert len([name for name, _step in run.points if name == "eval/macro_f1"]) == 1


def test_every_trial_of_a_search_is_a_run(
    config: TrainConfig, runs: list[Tracked], tmp_path: Path
) -> None:
    plain = changed(config, epochs=1, reporting_directory=str(tmp_path / "curves"))
    search_options(plain, {"batch_size": [16, 32]}, trials=2, out=tmp_path / "found")
    assert [run.outcome for run in runs] == ["finished", "finished"]
    directories = {run.config.reporting_directory for run in runs}
    assert directories == {tmp_path / "curves" / f"trial-{number}" for number in (0, 1)}


def test_tensorboard(config: TrainConfig, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(changed(config, reporting_directory=str(tmp_path / "curves")))
    found = EventAccumulator(str(tmp_path / "curves")).Reload()
    assert set(found.Tags()["scalars"]) >= _CURVE
    text = found.Tensors("options/text_summary")[0].tensor_proto.string_val[0].decode()
    options = json.loads(text.strip("`\n").removeprefix("json"))
    assert (options["learning_rate"], options["r_drop"]) == (3e-3, 1.0)


def test_wandb(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    wandb.teardown()  # it reads its environment once
    train(changed(config, reporting="wandb"))
    [path] = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = list(_wandb_records(path.read_bytes()))
    [run] = [each.run for each in records if each.WhichOneof("record_type") == "run"]
    options = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (run.project, run.display_name) == ("rootstock", "followed")
    assert (options["learning_rate"], options["r_drop"]) == (3e-3, 1.0)
    logged: dict[str, list[tuple[int, float]]] = {}
    for each in records:
        if each.WhichOneof("record_type") == "history":
            items = each.history.item
            row = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
            for name, value in row.items():
                logged.setdefault(name, []).append((row["step"], value))
    assert set(logged) >= _CURVE
    first, second = logged["eval/loss"]
    assert first[0] * 2 == second[0]
    assert second[1] < first[1], "it learns"


def test_wandb_that_cannot_start_is_bad_input(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    wandb.teardown()  # it reads its environment once
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"reporting: wandb cannot be started: .*API key"):
        train(changed(config, reporting="wandb"))


def test_mlflow(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "headlines")
    train(changed(config, reporting="mlflow"))
    with pytest.raises(ConfigError):
        train(
            changed(
                config, reporting="mlflow", method="lora", target_modules="none_such", out="other"
            )
        )
    client = mlflow.MlflowClient(address)
    experiment = client.get_experiment_by_name("headlines").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert {name: run.info.status for name, run in runs.items()} == {
        "followed": "FINISHED",
        "other": "FAILED",
    }
    run = runs["followed"]
    assert (run.data.params["learning_rate"], run.data.params["r_drop"]) == ("0.003", "1.0")
    assert set(run.data.metrics) >= _CURVE
    first, second = client.get_metric_history(run.info.run_id, "eval/loss")
    assert first.step * 2 == second.step
    assert second.value < first.value, "it learns"


def test_mlflow_that_cannot_start_is_bad_input(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConfigError, match=r"reporting: mlflow cannot be started: .*refused"):
        train(changed(config, reporting="mlflow"))


def _wandb_records(data: bytes) -> Iterator[Any]:
    """The records of a .wandb file: a LevelDB log of blocks of 32 KiB behind a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    place, parts = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _checksum, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record
