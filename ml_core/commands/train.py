"""``train``: fine-tune a model and write it as an artefact."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ml_core.commands.console import EXIT_MEMORY, fail, print_json
from ml_core.commands.progress import ProgressOutput, add_following, stop_on_signals
from ml_core.training import Option, TrainConfig, train, training_options


def add(commands: Any) -> None:
    """Add the parser of ``train``."""
    command = commands.add_parser("train", help="fine-tune a model and write it as an artefact")
    command.set_defaults(run=run)
    command.add_argument(
        "--config", type=Path, metavar="FILE.yaml", help="options as a YAML mapping; flags win"
    )
    sections: dict[str, Any] = {}
    for option in training_options():
        section = sections.setdefault(option.group, command.add_argument_group(option.group))
        _add_option(section, option)
    add_following(command)


def run(options: argparse.Namespace) -> int:
    """Train as the configuration and the flags say, and print where the artefact is."""
    given = {
        option.name: getattr(options, option.name)
        for option in training_options()
        if getattr(options, option.name) is not None
    }
    if options.config is None:
        config = TrainConfig.from_mapping(given)
    else:
        config = TrainConfig.from_yaml(options.config, **given)
    stop_requested = stop_on_signals()
    if options.max_memory_mb is not None:
        from ml_core.training.memory import limit_memory

        limit_memory(options.max_memory_mb, lambda message: fail(message, EXIT_MEMORY))
    with ProgressOutput(options.progress, options.progress_file) as show:
        artifact = train(config, on_progress=show, should_stop=stop_requested)
    if os.environ.get("RANK", "0") != "0":
        return 0  # one of several processes, of which the first one speaks
    manifest = artifact.manifest
    print_json(
        {
            "artifact": str(artifact.path),
            "digest": artifact.digest,
            "labels": manifest.labels,
            "languages": manifest.languages,
            "size_bytes": artifact.size_bytes,
        }
        | {key: value for key, value in manifest.metrics.items() if isinstance(value, int | float)}
    )
    return 0


def _add_option(section: Any, option: Option) -> None:
    flag = "--" + option.name.replace("_", "-")
    default = "" if option.default in (None, ()) else f" Default: {option.default}."
    tasks = f" For {', '.join(option.tasks)}." if option.tasks else ""
    choices = f" One of {', '.join(option.choices)}." if option.choices else ""
    text = (option.help + choices + tasks + default).replace("%", "%%")
    if option.kind == "bool":
        section.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
    else:
        section.add_argument(flag, metavar="VALUE", help=text)
