"""``compress``: make a trained model smaller and faster."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ml_core.commands.console import EXIT_MEMORY, fail, print_json
from ml_core.commands.progress import ProgressOutput, stop_on_signals
from ml_core.compression import CompressionConfig, StepResult, compress, search_compression
from ml_core.training import Progress
from ml_core.training.config import read_yaml
from ml_core.training.options import Option, describe

_MEGABYTE = 1_000_000


def add(commands: Any) -> None:
    """Add the parser of ``compress``."""
    command = commands.add_parser("compress", help="make a trained model smaller and faster")
    command.set_defaults(run=run)
    command.add_argument("model", type=Path, nargs="?", metavar="DIR", help="the artefact")
    command.add_argument(
        "--config", type=Path, metavar="FILE.yaml", help="options as a YAML mapping; flags win"
    )
    for option in describe(CompressionConfig, ""):
        if option.name != "model":
            _add_option(command, option)
    command.add_argument(
        "--set",
        action="append",
        default=[],
        type=_pair,
        metavar="OPTION=VALUE",
        help="an option of training, for the distillation: learning_rate=3e-4, seed=2, device=cpu",
    )
    command.add_argument(
        "--progress-file",
        metavar="FILE|fd:N",
        help="write JSON lines of steps and progress to this file or open file descriptor",
    )
    command.add_argument(
        "--max-memory-mb",
        type=int,
        metavar="N",
        help="end with exit code 137 when the process holds more than N MiB of memory",
    )


def run(options: argparse.Namespace) -> int:
    """Take the steps, or search for them, and print what was won and lost."""
    values = read_yaml(options.config) if options.config else {}
    for option in describe(CompressionConfig, ""):
        given = getattr(options, option.name)
        if given is not None:
            values[option.name] = given
    config = CompressionConfig.from_mapping(values | dict(options.set))
    stop_requested = stop_on_signals()
    if options.max_memory_mb is not None:
        from ml_core.training.memory import limit_memory

        limit_memory(options.max_memory_mb, lambda message: fail(message, EXIT_MEMORY))
    with ProgressOutput("auto", options.progress_file) as show:
        follow = _Steps(show, sys.stderr)
        make = search_compression if config.search else compress
        found = make(
            config,
            on_step=follow.on_step,
            on_progress=follow.on_progress,
            should_stop=stop_requested,
        )
    print_json(
        {
            "artifact": str(found.artifact.path),
            "digest": found.artifact.digest,
            "size_bytes": found.artifact.size_bytes,
            **found.to_dict(),
        }
    )
    return 0


@dataclass(frozen=True)
class StepProgress(Progress):
    """A moment of a compression: what its training loop tells, and the step of so many that it is in."""

    name: str = ""
    number: int = 1
    count: int = 1


class _Steps:
    """Passes progress on with the step it is in, and tells people of each step that is done."""

    def __init__(self, show: Any, console: TextIO) -> None:
        self._show = show
        self._console = console
        self._step: tuple[str, int, int] = ("", 1, 1)

    def on_step(self, name: str, number: int, count: int, result: StepResult | None) -> None:
        self._step = (name, number, count)
        if result is None:
            return
        figures = result.figures
        self._console.write(
            f"step {number} of {count}: {name}: {figures.headline} {figures.score:.4f}, "
            f"{figures.parameters:,} parameters, {figures.bytes / _MEGABYTE:.2f} MB\n"
        )
        self._console.flush()

    def on_progress(self, progress: Progress) -> None:
        name, number, count = self._step
        told = StepProgress(**progress.to_dict(), name=name, number=number, count=count)
        self._show(told)


def _add_option(command: Any, option: Option) -> None:
    flag = "--" + option.name.replace("_", "-")
    default = "" if option.default in (None, ()) else f" Default: {option.default}."
    text = (option.help + default).replace("%", "%%")
    if option.kind == "bool":
        command.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
    else:
        command.add_argument(flag, metavar="VALUE", help=text)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not OPTION=VALUE")
    return name.replace("-", "_"), value
