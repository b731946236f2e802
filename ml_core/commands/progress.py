"""How a training run is followed and stopped from the command line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ml_core.training import ConfigError, Progress


def stop_on_signals() -> Callable[[], bool]:
    """Turn SIGTERM and SIGINT into a question that training asks; a second one ends the process at once."""
    received: list[int] = []

    def handle(number: int, _: object) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return lambda: bool(received)


def add_following(command: argparse.ArgumentParser) -> None:
    """Add the flags of what takes long: how it is followed, and how much memory it may take."""
    command.add_argument(
        "--progress",
        choices=("auto", "bar", "jsonl", "none"),
        default="auto",
        help="a bar, or one JSON object a line; auto: a bar when stderr is a terminal, else nothing",
    )
    command.add_argument(
        "--progress-file",
        metavar="FILE|fd:N",
        help="write JSON progress lines to this file or open file descriptor instead of stderr",
    )
    command.add_argument(
        "--max-memory-mb",
        type=int,
        metavar="N",
        help="end with exit code 137 when the process holds more than N MiB of memory",
    )


class ProgressOutput:
    """Shows progress as a bar, as JSON lines, or not at all."""

    def __init__(self, kind: str, target: str | None) -> None:
        if target is not None and kind in {"auto", "jsonl"}:
            kind = "jsonl"
        elif kind == "auto":
            kind = "bar" if sys.stderr.isatty() else "none"
        self._kind = kind
        self._file: TextIO = sys.stderr
        if target is not None and kind == "jsonl":
            self._file = _open_progress(target)
        self._bar: Any = None

    def __enter__(self) -> Callable[[Progress], None]:
        return {"bar": self._show_bar, "jsonl": self._write_line, "none": lambda _: None}[
            self._kind
        ]

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._file is not sys.stderr:
            self._file.close()

    def _write_line(self, progress: Progress) -> None:
        self._file.write(json.dumps(progress.to_dict()) + "\n")
        self._file.flush()

    def _show_bar(self, progress: Progress) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=None, unit="step", file=sys.stderr, dynamic_ncols=True)
        bar = self._bar
        bar.set_description_str(progress.phase)
        if progress.total_steps:
            bar.total = progress.total_steps
            bar.n = progress.step
        if progress.metrics is not None:
            shown = " ".join(f"{name} {value:.3f}" for name, value in progress.metrics.items())
            bar.write(f"epoch {progress.epoch:g}: {shown}", file=sys.stderr)
        if progress.loss is not None:
            bar.set_postfix(loss=f"{progress.loss:.4f}", refresh=False)
        bar.refresh()


def _open_progress(target: str) -> TextIO:
    descriptor = target.removeprefix("fd:")
    try:
        if target.startswith("fd:"):
            # A copy: the descriptor may be stdout, which the result is written to after the last progress.
            return os.fdopen(os.dup(int(descriptor)), "w", encoding="utf-8")
        return Path(target).open("w", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"--progress-file {target}: {error}") from None
