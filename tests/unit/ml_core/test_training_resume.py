"""Runs that are cut off: killed, out of disk, with damaged checkpoints. None is lost, none mixes with another."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_core_helpers import REPOSITORY, run_python

from ml_core.registry import Artifact
from ml_core.training import ConfigError, Progress, TrainConfig, TrainingError, train

Options = dict[str, object]

# Kills its own process at a moment of the run: a step is over, or the third evaluation has been saved.
KILLED = """
import json, os, signal, sys
from pathlib import Path
from ml_core.training import TrainConfig, checkpoints, engine, train

options, moment = json.loads(sys.argv[1]), sys.argv[2]
config = TrainConfig.from_mapping(options)
kind, number = moment.split(":")
seen = {"step": 0, "evaluation": 0, "seal": 0}
armed = False

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def follow(progress):
    global armed
    if progress.phase == "train":
        seen["step"] = progress.step
    if progress.metrics is not None:
        seen["evaluation"] += 1
    if kind == "step" and seen["step"] >= int(number):
        die()
    if kind == "evaluation" and seen["evaluation"] >= int(number):
        armed = True

sealed = engine.seal
def seal(directory, run):
    sealed(directory, run)
    if armed:
        die()
engine.seal = seal
train(config, on_progress=follow)
"""


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, tiny_options: Options) -> Options:
    return tiny_options | {"batch_size": 32, "epochs": 3, "checkpoint_minutes": 0}


def run_and_kill(options: Options, moment: str) -> None:
    values = TrainConfig(**options).to_dict()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(values), moment],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def same(first: Artifact, second: Artifact) -> None:
    """The same weights, the same figures."""
    assert first.manifest.files["model.safetensors"] == second.manifest.files["model.safetensors"]
    assert first.manifest.metrics == second.manifest.metrics
    assert first.manifest.calibration == second.manifest.calibration
    assert first.digest == second.digest


CASES: dict[str, tuple[Options, str]] = {
    "between two steps": ({}, "step:10"),
    "average of the weights, accumulated": (
        {"weight_averaging": "ema", "gradient_accumulation": 2, "epochs": 4},
        "step:6",
    ),
    "before the artefact is written": ({"epochs": 2}, "evaluation:2"),
    "an ensemble, its head fitted": (
        {"ensemble": 2, "head_start": "fitted", "epochs": 1},
        "step:4",
    ),
    "an ensemble of trainings from a contrastive start, in its second one": (
        {"ensemble": 3, "contrastive_epochs": 1, "weight_averaging": "ema", "epochs": 2},
        "step:17",
    ),
    "right after the evaluation that stops it": (
        {"epochs": 12, "early_stopping_patience": 1, "learning_rate": 2e-2,
         "weight_averaging": "swa"},
        "last evaluation",
    ),
    "adversarial, two passes, started from a fitted head": (
        {"adversarial": "fgm", "r_drop": 1.0, "head_start": "fitted", "epochs": 2},
        "step:9",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_killed_run_ends_as_an_unbroken_one(case: str, calm: Options, tmp_path: Path) -> None:
    changes, moment = CASES[case]
    options = calm | changes
    evaluations: list[Progress] = []

    def keep(progress: Progress) -> None:
        if progress.metrics is not None:
            evaluations.append(progress)

    unbroken = train(TrainConfig(**options, out=tmp_path / "whole"), on_progress=keep)
    if moment == "last evaluation":
        assert len(evaluations) < options["epochs"]
        moment = f"evaluation:{len(evaluations)}"
    checkpoints = tmp_path / "checkpoints"
    options |= {"out": tmp_path / "again", "checkpoints": checkpoints}
    run_and_kill(options, moment)
    assert not (tmp_path / "again").exists()
    assert list(checkpoints.rglob("checkpoint-*"))
    steps: list[int] = []
    resumed = train(TrainConfig(**options), on_progress=lambda each: steps.append(each.step))
    same(unbroken, resumed)
    first = next((step for step in steps if step), 0)
    assert first != 1, "it went on, it did not start again"
    if moment.startswith("step:"):
        assert first >= int(moment.removeprefix("step:")), "nor did it repeat what it had done"
    assert not checkpoints.exists(), "nothing is left of a run that ended well"


@pytest.mark.slow
def test_the_command_line_goes_on_after_sigkill(calm: Options, tmp_path: Path) -> None:
    """As people see it: the same command twice."""
    flags: list[str] = []
    for name, value in (calm | {"epochs": 6}).items():
        if value is not None:
            shown = ",".join(value) if isinstance(value, tuple) else str(value)
            flags += ["--" + name.replace("_", "-"), shown]
    command = [sys.executable, "-m", "ml_core", "train", *flags]
    quiet: dict[str, Any] = {
        "cwd": REPOSITORY,
        "env": os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        "text": True,
    }
    last = [
        "--checkpoints",
        str(tmp_path / "c"),
        "--out",
        str(tmp_path / "m"),
        "--progress",
        "jsonl",
    ]
    process = subprocess.Popen([*command, *last], stderr=subprocess.PIPE, **quiet)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line)["step"] >= 20:
                break
    finally:
        process.kill()
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(
        [*command, *last], capture_output=True, timeout=200, check=False, **quiet
    )
    assert again.returncode == 0, again.stderr
    first = next(step for line in again.stderr.splitlines() if (step := json.loads(line)["step"]))
    assert first > 7
    unbroken = train(TrainConfig(**(calm | {"epochs": 6}), out=tmp_path / "whole"))
    same(unbroken, Artifact.open(tmp_path / "m"))


class Cut(Exception):
    """The run ends here, as if it had been killed."""


def cut_at(step: int) -> Callable[[Progress], None]:
    def follow(progress: Progress) -> None:
        if progress.step >= step:
            raise Cut

    return follow


@pytest.fixture(scope="module")
def cut_run(calm: Options, tmp_path_factory: pytest.TempPathFactory) -> tuple[Options, Path]:
    """The options of a run that was cut off in its second epoch, and its checkpoints."""
    directory = tmp_path_factory.mktemp("cut")
    options = calm | {"epochs": 2, "out": directory / "m", "checkpoints": directory / "c"}
    with pytest.raises(Cut):
        train(TrainConfig(**options), on_progress=cut_at(10))
    return options, directory / "c"


@pytest.fixture
def cut_copy(cut_run: tuple[Options, Path], tmp_path: Path) -> tuple[Options, Path]:
    options, checkpoints = cut_run
    copy = Path(shutil.copytree(checkpoints, tmp_path / "c"))
    return options | {"out": tmp_path / "m", "checkpoints": copy}, copy


def newest(checkpoints: Path) -> Path:
    return max(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit flipped": lambda path: (path / "model.safetensors").write_bytes(
        (path / "model.safetensors").read_bytes()[:-1] + b"?"
    ),
    "half written": lambda path: (path / "optimizer.pt").write_bytes(b""),
    "a file gone": lambda path: (path / "methods.pt").unlink(),
    "not sealed": lambda path: (path / "whole.json").unlink(),
    "a seal that is no JSON": lambda path: (path / "whole.json").write_text("{"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    damage: str, cut_copy: tuple[Options, Path]
) -> None:
    options, checkpoints = cut_copy
    assert len(list(checkpoints.glob("checkpoint-*"))) == 2
    broken = newest(checkpoints)
    DAMAGE[damage](broken)
    number = int(broken.name.split("-")[1])
    steps: list[int] = []

    def follow(progress: Progress) -> None:
        steps.append(progress.step)
        if progress.step >= number:
            raise Cut

    with pytest.raises(Cut):
        train(TrainConfig(**options), on_progress=follow)
    assert next(step for step in steps if step) == number, "one step was made again, not all"


def test_two_damaged_checkpoints_mean_a_fresh_start(cut_copy: tuple[Options, Path]) -> None:
    options, checkpoints = cut_copy
    for each in checkpoints.glob("checkpoint-*"):
        (each / "whole.json").unlink()
    steps: list[int] = []

    def follow(progress: Progress) -> None:
        steps.append(progress.step)
        if progress.step >= 1:
            raise Cut

    with pytest.raises(Cut):
        train(TrainConfig(**options), on_progress=follow)
    assert max(steps) == 1


def test_what_an_ensemble_has_finished_is_kept_and_is_not_another_runs(
    calm: Options, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "c"
    options = calm | {"epochs": 1, "ensemble": 3, "checkpoint_minutes": 5}
    whole = train(TrainConfig(**options, out=tmp_path / "whole"))
    options |= {"out": tmp_path / "m", "checkpoints": checkpoints}
    with pytest.raises(Cut):
        train(TrainConfig(**options), on_progress=cut_at(15))
    kept = sorted(path.parent.name for path in checkpoints.glob("ensemble/*/whole.json"))
    assert kept == ["start", "trained-1", "trained-2"]
    for each in checkpoints.glob("checkpoint-*"):
        shutil.rmtree(each)
    with pytest.raises(ConfigError, match=r"another run \(different: ensemble\)"):
        train(TrainConfig(**(options | {"ensemble": 4})))
    # One of the two is damaged: it is made again, the other is not.
    (checkpoints / "ensemble/trained-1/weights.safetensors").write_bytes(b"")
    steps: list[int] = []
    resumed = train(TrainConfig(**options), on_progress=lambda each: steps.append(each.step))
    assert {step for step in steps if step} >= {1, 7, 15, 21}
    assert not {*range(8, 15)} & set(steps)
    same(whole, resumed)
    assert not checkpoints.exists()


def test_checkpoints_of_another_run_are_refused_by_name(
    cut_copy: tuple[Options, Path], tiny_options: Options, tmp_path: Path
) -> None:
    options, checkpoints = cut_copy
    before = sorted(str(path) for path in checkpoints.rglob("*"))
    with pytest.raises(ConfigError, match=r"another run \(different: batch_size, seed\)"):
        train(TrainConfig(**(options | {"seed": 99, "batch_size": 16})))
    other = tmp_path / "other.csv"
    other.write_bytes(Path(str(tiny_options["train"])).read_bytes() + b"one more,neutral\n")
    with pytest.raises(ConfigError, match=r"another run \(different: train_sha256\)"):
        train(TrainConfig(**(options | {"train": other})))
    assert sorted(str(path) for path in checkpoints.rglob("*")) == before, "nothing was touched"
    # The same rows under another name, more often saved, are the same run.
    shutil.copy(Path(str(tiny_options["train"])), other)
    with pytest.raises(Cut):
        train(
            TrainConfig(**(options | {"train": other, "checkpoint_minutes": 5})),
            on_progress=cut_at(11),
        )


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.pt", "best.safetensors"])
def test_a_full_disk_says_so_and_leaves_the_last_whole_checkpoint(
    file: str, cut_copy: tuple[Options, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import trainer

    from ml_core.training import engine

    options, checkpoints = cut_copy
    last = newest(checkpoints)

    def full(*arguments: Any, **_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[-1]))

    if file == "model.safetensors":
        monkeypatch.setattr(engine, "save_model", full)
    elif file == "best.safetensors":
        monkeypatch.setattr(engine, "write_weights", full)
    else:
        monkeypatch.setattr(trainer.torch, "save", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*goes on from its last"):
        train(TrainConfig(**options))
    monkeypatch.undo()
    assert torch.save is not full
    assert not Path(str(options["out"])).exists()
    assert (last / "whole.json").is_file()
    steps: list[int] = []

    def follow(progress: Progress) -> None:
        steps.append(progress.step)
        if progress.step:
            raise Cut

    with pytest.raises(Cut):
        train(TrainConfig(**options), on_progress=follow)
    assert max(steps) == int(last.name.split("-")[1]) + 1


def test_a_file_that_vanished_is_not_one_that_cannot_be_written(
    calm: Options, tmp_path: Path
) -> None:
    """It lies beside the model, and there is room enough."""
    rows = Path(shutil.copy(Path(str(calm["train"])), tmp_path / "rows.csv"))

    def follow(progress: Progress) -> None:
        if progress.phase == "tokenise":
            rows.unlink()

    options = calm | {"train": rows, "pretrain_epochs": 1, "checkpoints": tmp_path / "c"}
    with pytest.raises(TrainingError) as caught:
        train(TrainConfig(**options, out=tmp_path / "m"), on_progress=follow)
    assert str(caught.value) == f"{rows}: cannot be read: No such file or directory"


@pytest.mark.parametrize("blocked", ["c", "m"])
def test_a_directory_that_cannot_be_made_is_named(
    blocked: str, calm: Options, tmp_path: Path
) -> None:
    (tmp_path / blocked).write_text("in the way")
    options = calm | {"epochs": 1, "checkpoints": tmp_path / "c/d", "out": tmp_path / "m/n"}
    with pytest.raises(TrainingError, match=rf"{tmp_path / blocked}.*: cannot be written: "):
        train(TrainConfig(**options))


LIMITED = """
import json, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
from ml_core.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_file_that_cannot_be_written_is_one_line(calm: Options, tmp_path: Path) -> None:
    """The operating system itself refuses: files of more than 40 kB cannot be written."""
    done = run_python(
        "-c", LIMITED, "train", "--train", calm["train"], "--base", calm["base"],
        "--max-length", "64", "--device", "cpu", "--epochs", "1", "--out", tmp_path / "m",
        "--checkpoints", tmp_path / "c", "--checkpoint-minutes", "0",
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "error: " in done.stderr.splitlines()[-1]
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()
