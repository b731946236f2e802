"""``pretrain``: make a base model by a recipe, stage by stage."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ml_core.commands.console import EXIT_MEMORY, fail, print_json
from ml_core.commands.progress import ProgressOutput, add_following, stop_on_signals
from ml_core.pretraining import run_recipe


def add(commands: Any) -> None:
    """Add the parser of ``pretrain``."""
    command = commands.add_parser("pretrain", help="make a base model by a recipe of stages")
    command.set_defaults(run=run)
    command.add_argument("recipe", type=Path, metavar="RECIPE.yaml", help="name, out and stages")
    add_following(command)


def run(options: argparse.Namespace) -> int:
    """Run the stages that are not done yet, and print where the model is."""
    stop_requested = stop_on_signals()
    if options.max_memory_mb is not None:
        from ml_core.training.memory import limit_memory

        limit_memory(options.max_memory_mb, lambda message: fail(message, EXIT_MEMORY))
    first = os.environ.get("RANK", "0") == "0"

    def show_stage(name: str, number: int, count: int, done: bool) -> None:
        if first and options.progress != "none":
            sys.stderr.write(f"stage {number} of {count}: {name}{' (done)' if done else ''}\n")
            sys.stderr.flush()

    with ProgressOutput(options.progress, options.progress_file) as show:
        result = run_recipe(
            options.recipe, on_progress=show, should_stop=stop_requested, on_stage=show_stage
        )
    if first:
        print_json(
            {
                "out": str(result.out),
                "model": str(result.model) if result.model else None,
                "report": str(result.out / "REPORT.md"),
                "stages": [record.name for record in result.records],
                "ran": result.ran,
            }
        )
    return 0
