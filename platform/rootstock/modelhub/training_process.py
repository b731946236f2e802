"""Start ml_core's command line in a process of its own, follow it, stop it, and say in words how it ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

LAUNCHER = Path(__file__).with_name("launcher.py")
POLL_SECONDS = 0.5
STOP_SECONDS = 15.0
LOG_CHARACTERS = 60_000
_BAD_INPUT = 2
_MEMORY_WORDS = re.compile(r"out of memory|can't allocate memory|MemoryError|std::bad_alloc", re.I)
_SECRET = re.compile(r"ROOTSTOCK_.*(SECRET|TOKEN|PASSWORD|PEPPER)")


class TrainingFailed(Exception):
    """Training ended without a model; `code` for programs, the message for the person who started it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Ended:
    """How a process ended. `output` is its stdout."""

    output: str
    peak_memory_mb: int


def run_command(
    arguments: Sequence[str],
    *,
    directory: Path,
    memory_mb: int,
    tick: Callable[[], None],
) -> Ended:
    """Run `python -m ml_core ARGUMENTS` and call `tick` twice a second until it ends.

    The process works in `directory`, where its log.txt is. Whatever `tick` raises ends the process, with everything it
    started, before it is raised on; so does the death of this process, however sudden.

    Raises:
        TrainingFailed: it ended with an error, or held more than `memory_mb` of memory.
    """
    output, log = directory / "output.txt", directory / "log.txt"
    # -P: modules beside the launcher must not stand in for those of the standard library.
    command = [sys.executable, "-P", str(LAUNCHER), "--memory-mb", str(memory_mb)]
    command += ["--output", str(output), "--log", str(log), "--"]
    command += [sys.executable, "-m", "ml_core", *arguments]
    environment = os.environ | {
        "PYTHONPATH": str(settings.ROOT),
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    # Training needs neither the database nor any secret of this process.
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        environment.pop(name, None)
    for name in [name for name in environment if _SECRET.match(name)]:
        del environment[name]
    launcher = subprocess.Popen(  # noqa: S603 - our own program and options
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        while launcher.poll() is None:
            tick()
            try:
                launcher.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        tick()
    except BaseException:
        _stop(launcher)
        raise
    assert launcher.stdout is not None  # noqa: S101 - PIPE above
    with launcher.stdout as pipe:
        lines = pipe.read().decode().splitlines()
    if launcher.stdin is not None:
        launcher.stdin.close()
    result: dict[str, Any] = (
        json.loads(lines[-1])
        if lines
        else {"returncode": launcher.returncode, "reason": "exit", "peak_memory_mb": 0}
    )
    if result["reason"] != "exit" or result["returncode"] != 0:
        raise _explain(result, memory_mb, log)
    return Ended(
        output=output.read_text(encoding="utf-8", errors="replace"),
        peak_memory_mb=result["peak_memory_mb"],
    )


def log_tail(directory: Path) -> str:
    """The last part of the log, without the escape codes of progress bars."""
    log = directory / "log.txt"
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4 * LOG_CHARACTERS))
        text = file.read().decode("utf-8", errors="replace")
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).replace("\0", "")
    return re.sub(r"[^\n]*\r(?!\n)", "", text)[-LOG_CHARACTERS:]


def _stop(launcher: subprocess.Popen[bytes]) -> None:
    """End the launcher and what it runs; it answers to the end of its input."""
    if launcher.stdin is not None and not launcher.stdin.closed:
        launcher.stdin.close()
    deadline = time.monotonic() + STOP_SECONDS
    while launcher.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if launcher.poll() is None:
        launcher.kill()
        launcher.wait()
    if launcher.stdout is not None:
        launcher.stdout.close()


def _explain(result: dict[str, Any], memory_mb: int, log: Path) -> TrainingFailed:
    text = log_tail(log.parent)
    returncode = result["returncode"]
    if result["reason"] == "memory":
        return TrainingFailed(
            "out-of-memory",
            _(
                "Training needed more than the %(limit)s MB of memory it may have and was stopped. Use a smaller "
                "batch_size or max_length, or raise ROOTSTOCK_TRAINING_MEMORY_MB."
            )
            % {"limit": f"{memory_mb:,}"},
        )
    if returncode == _BAD_INPUT:
        errors = re.findall(r"^error: (.*)$", text, re.M)
        return TrainingFailed("bad-input", errors[-1] if errors else text[-2000:])
    if _MEMORY_WORDS.search(text[-4000:]):
        return TrainingFailed(
            "out-of-memory",
            _("Training ran out of memory. Use a smaller batch_size or max_length."),
        )
    if returncode < 0:
        return TrainingFailed(
            "killed",
            _(
                "The system stopped the training process (signal %(number)d), most likely for lack of memory. "
                "Use a smaller batch_size or max_length, or stop other programs on this machine."
            )
            % {"number": -returncode},
        )
    return TrainingFailed(
        "crashed",
        _("Training ended unexpectedly (exit code %(code)d). The last lines of the log say why.")
        % {"code": returncode},
    )
