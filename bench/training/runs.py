"""One training and its test, as a user does them: by the command line, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.harness import Progress
from bench.training.data import Split, write


@dataclass(frozen=True)
class Outcome:
    """What a training cost and what its model says: ``report`` on the test part, ``manifest`` of the artefact,
    ``curve`` its evaluations, each with the seconds since the start without those of
    evaluating."""

    report: dict[str, Any]
    manifest: dict[str, Any]
    curve: list[dict[str, Any]]
    seconds: float
    peak_mb: float
    size_bytes: int


def train_and_test(options: dict[str, Any], split: Split, progress: Progress) -> Outcome:
    """Train with ``options`` on ``split`` and evaluate on its test part; raises RuntimeError with what the process
    said when it fails."""
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        write(split, directory)
        artifact, curve, seconds, peak = train(options, directory, progress)
        return Outcome(
            report=evaluate(artifact, directory / "test.jsonl"),
            manifest=json.loads((artifact / "manifest.json").read_text(encoding="utf-8")),
            curve=curve,
            seconds=seconds,
            peak_mb=peak,
            size_bytes=sum(file.stat().st_size for file in artifact.iterdir()),
        )


def train(
    options: dict[str, Any], directory: Path, progress: Progress, *, name: str = "model"
) -> tuple[Path, list[dict[str, Any]], float, float]:
    """(artefact, curve, seconds, peak MB) of a training on the files in ``directory``."""
    config = directory / f"{name}.yaml"
    values = {
        "train": str(directory / "train.jsonl"),
        "validation": str(directory / "validation.jsonl"),
        "out": str(directory / name),
        **options,
    }
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [
        sys.executable, "-m", "ml_core", "train", "--config", str(config),
        "--progress", "jsonl", "--progress-file", "fd:1",
    ]  # fmt: skip
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None and process.stderr is not None  # noqa: S101  # both are pipes
    curve: list[dict[str, Any]] = []
    shown = evaluating = 0.0
    evaluation_began: float | None = None
    for line in process.stdout:
        moment = json.loads(line)
        seconds = time.monotonic() - started
        if moment.get("phase") == "evaluate" and evaluation_began is None:
            evaluation_began = seconds
        if moment.get("metrics"):
            evaluating += seconds - (evaluation_began or seconds)
            evaluation_began = None
            point = {"epoch": moment["epoch"], "training_seconds": seconds - evaluating}
            curve.append(point | moment["metrics"])
        if "phase" in moment and seconds - shown > 30:
            shown = seconds
            progress(f"{moment['phase']} {moment['step']}/{moment['total_steps']}, {seconds:.0f} s")
    problem = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(problem.strip().splitlines()[-1] if problem.strip() else "no words")
    return directory / name, curve, time.monotonic() - started, usage.ru_maxrss / 1024


def evaluate(artifact: Path | str, data: Path, *more: str) -> dict[str, Any]:
    """The report that ``python -m ml_core evaluate`` prints; raises RuntimeError as `run` does."""
    printed = run(["evaluate", str(artifact), "--data", str(data), *more])
    report: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return report


def run(arguments: list[str]) -> str:
    """What ``python -m ml_core`` prints; raises RuntimeError with its last error line."""
    done = subprocess.run(
        [sys.executable, "-m", "ml_core", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return done.stdout
