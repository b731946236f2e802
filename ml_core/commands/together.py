"""``together``: train several heads on one encoder and write each as an artefact."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ml_core.commands.console import EXIT_MEMORY, fail, print_json
from ml_core.commands.progress import ProgressOutput, add_following, stop_on_signals
from ml_core.training import read_together, train_together


def add(commands: Any) -> None:
    """Add the parser of ``together``."""
    command = commands.add_parser(
        "together", help="train several heads on one encoder and write each as an artefact"
    )
    command.set_defaults(run=run)
    command.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="FILE.yaml",
        help="options for all heads, and heads: a list of mappings with each one's own (task, train, out …)",
    )
    add_following(command)


def run(options: argparse.Namespace) -> int:
    """Train as the file says, and print where the artefacts are."""
    configs = read_together(options.config)
    stop_requested = stop_on_signals()
    if options.max_memory_mb is not None:
        from ml_core.training.memory import limit_memory

        limit_memory(options.max_memory_mb, lambda message: fail(message, EXIT_MEMORY))
    with ProgressOutput(options.progress, options.progress_file) as show:
        artifacts = train_together(configs, on_progress=show, should_stop=stop_requested)
    print_json(
        {
            "artifacts": [
                {
                    "artifact": str(artifact.path),
                    "digest": artifact.digest,
                    "task": artifact.manifest.task,
                    "labels": artifact.manifest.labels,
                    "languages": artifact.manifest.languages,
                    "size_bytes": artifact.size_bytes,
                }
                for artifact in artifacts
            ]
        }
    )
    return 0
