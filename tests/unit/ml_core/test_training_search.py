"""Searching for options, and choosing what to label next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ml_core_helpers import make_rows, write_csv

from ml_core.__main__ import main
from ml_core.registry import Artifact
from ml_core.training import (
    ConfigError,
    Progress,
    TrainConfig,
    TrainingCancelled,
    Trial,
    search_options,
)

Options = dict[str, object]


class Killed(BaseException):
    """As SIGKILL: nobody gets to tidy up."""


def base_config(tiny_options: Options, out: Path) -> TrainConfig:
    return TrainConfig(**(tiny_options | {"epochs": 2, "out": out / "trial"}))


@pytest.mark.slow
def test_a_search_keeps_the_best_prunes_and_goes_on(tiny_options: Options, tmp_path: Path) -> None:
    out = tmp_path / "search"
    space = {"learning_rate": {"low": 1e-6, "high": 1e-2, "log": True}, "batch_size": [16, 32]}
    config = base_config(tiny_options, out)
    seen: list[Trial] = []

    def kill(progress: Progress) -> None:
        if len(seen) == 2 and progress.phase == "train":
            raise Killed

    with pytest.raises(Killed):
        search_options(config, space, trials=12, out=out, on_trial=seen.append, on_progress=kill)
    assert [trial.state for trial in seen] == ["complete", "complete"]
    assert json.loads((out / "search.json").read_text())

    artifact, trials = search_options(config, space, trials=12, out=out, on_trial=seen.append)
    finished = [trial for trial in trials if trial.state != "failed"]
    assert 11 <= len(finished) <= 12
    rates = [trial.options["learning_rate"] for trial in finished]
    assert len(set(rates)) == len(rates), "what was tried before is not tried again"
    assert "pruned" in {trial.state for trial in finished}
    scores = [trial.score for trial in trials if trial.state == "complete" and trial.score]
    metrics = artifact.manifest.metrics
    assert metrics[metrics["headline"]] == pytest.approx(max(scores), abs=1e-6)
    best = max((trial for trial in trials if trial.state == "complete"), key=lambda t: t.score or 0)
    assert artifact.manifest.config["learning_rate"] == best.options["learning_rate"]
    assert {path.name for path in out.iterdir()} == {"best", "search.db", "search.json"}
    listed = json.loads((out / "search.json").read_text())
    assert [row["number"] for row in listed] == [trial.number for trial in trials]
    # All trials were made: asking again trains nothing.
    again, _ = search_options(config, space, trials=12, out=out, on_progress=refuse)
    assert again.digest == artifact.digest


def refuse(progress: Progress) -> None:
    raise AssertionError(progress)


def test_a_trial_that_cannot_be_is_a_failed_one(tiny_options: Options, tmp_path: Path) -> None:
    config = base_config(tiny_options, tmp_path)
    _, trials = search_options(config, {"max_length": [4096, 64]}, trials=4, out=tmp_path / "s")
    by_state = {trial.options["max_length"]: trial.state for trial in trials}
    assert by_state.get(64) == "complete"
    assert by_state.get(4096, "failed") == "failed"
    with pytest.raises(ConfigError, match="no trial came to its end"):
        search_options(config, {"max_length": [4096]}, trials=1, out=tmp_path / "none")
    with pytest.raises(TrainingCancelled):
        search_options(
            config, {"dropout": [0.1]}, trials=2, out=tmp_path / "c", should_stop=lambda: True
        )


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        ({}, "space is empty"),
        ({"learn_rate": [1]}, "'learn_rate' is not an option"),
        ({"train": ["a.csv"]}, "'train' is not an option that can be searched"),
        ({"epochs": {"low": 3}}, "epochs: give low and high"),
        ({"epochs": {"low": 3, "high": 2}}, "epochs: low must be below high"),
        ({"base": {"low": 1, "high": 2}}, "base: give a list of values"),
        ({"epochs": 3}, "epochs: give a list of values"),
    ],
)
def test_a_space_that_cannot_be_searched(
    space: Options, problem: str, tiny_options: Options, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=problem):
        search_options(base_config(tiny_options, tmp_path), space, trials=1, out=tmp_path / "s")


def test_select_names_rows_and_lines(
    artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_rows(60, seed=41)
    path = write_csv(tmp_path / "pool.csv", [(text, "") for text, _ in rows])
    chosen = {}
    for strategy in ("badge", "random", "entropy", "core-set"):
        command = ["select", str(artifact.path), "--data", str(path), "--count", "7"]
        assert main([*command, "--strategy", strategy, "--device", "cpu"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len({line["line"] for line in lines}) == 7
        for line in lines:
            assert rows[line["line"] - 2][0] == line["text"]
        chosen[strategy] = tuple(line["line"] for line in lines)
    assert len(set(chosen.values())) > 1
