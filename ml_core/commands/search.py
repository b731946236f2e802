"""``search``: search for the options that do best."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ml_core.commands.console import positive, print_json
from ml_core.commands.progress import ProgressOutput, stop_on_signals
from ml_core.training import TrainConfig, Trial, search_options
from ml_core.training.config import read_yaml


def add(commands: Any) -> None:
    """Add the parser of ``search``."""
    command = commands.add_parser("search", help="search for the options that do best")
    command.set_defaults(run=run)
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE.yaml", help="options that stay"
    )
    command.add_argument(
        "--space", type=Path, required=True, metavar="FILE.yaml",
        help="option: [values] or option: {low: …, high: …, log: true}",
    )  # fmt: skip
    command.add_argument("--trials", type=positive, default=20, metavar="N", help="models to train")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="where best/ goes")
    command.add_argument(
        "--progress-file",
        metavar="FILE|fd:N",
        help="write JSON progress lines of all trials to this file or open file descriptor",
    )


def run(options: argparse.Namespace) -> int:
    """Try options, and print those of the best model."""
    config = TrainConfig.from_yaml(options.config, out=options.out / "trial")
    stop_requested = stop_on_signals()

    def show(trial: Trial) -> None:
        sys.stderr.write(f"trial {trial.number}: {trial.state} {trial.score} {trial.options}\n")

    with ProgressOutput("auto", options.progress_file) as follow:
        artifact, trials = search_options(
            config,
            read_yaml(options.space),
            trials=options.trials,
            out=options.out,
            on_trial=show,
            on_progress=follow,
            should_stop=stop_requested,
        )
    done = [trial for trial in trials if trial.score is not None]
    best = max(done, key=lambda trial: trial.score or 0.0)
    print_json(
        {
            "artifact": str(artifact.path),
            "score": best.score,
            "options": best.options,
            "trials": len(trials),
        }
    )
    return 0
