"""Runs one command so that it cannot outlive its worker or outgrow its memory.

    python launcher.py --memory-mb 6144 --output FILE --log FILE -- COMMAND ARGUMENT…

The command gets a session of its own, low priority, and files for its stdout (--output) and stderr (--log). It is
stopped (SIGTERM, five seconds later SIGKILL, to the whole group) when our standard input closes, which it does when
the worker cancels and also when the worker is killed with SIGKILL; and when its processes together hold more than the
memory cap. Should this process itself be killed, the kernel kills the command. The last line on stdout is
{"returncode", "reason", "peak_memory_mb"}; `reason` is "exit", "cancelled" or "memory".

It is a program, not an import: a worker has many threads, and only a fresh process can safely prepare a child.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

POLL_SECONDS = 0.25
GRACE_SECONDS = 5.0
NICE = 5
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the command of the arguments; 0 whatever became of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory-mb", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    # The worker's own signals (Ctrl-C in a terminal) reach it, not us: it decides, and closes our stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with arguments.output.open("wb") as output, arguments.log.open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - the worker's own command
            arguments.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            start_new_session=True,
            preexec_fn=_prepare,  # noqa: PLW1509 - this process has one thread
        )
    reason, peak = _watch(child, arguments.memory_mb)
    result = {"returncode": child.wait(), "reason": reason, "peak_memory_mb": peak}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _prepare() -> None:
    os.nice(NICE)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _watch(child: subprocess.Popen[bytes], memory_mb: int) -> tuple[str, int]:
    """Wait for the end of the child or a reason to end it; (reason, peak memory in MB)."""
    peak = 0
    while child.poll() is None:
        used = _memory_mb(child.pid)
        peak = max(peak, used)
        if used > memory_mb:
            _stop(child)
            return "memory", peak
        readable, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 1024):
            _stop(child)
            return "cancelled", peak
    _kill_group(child.pid, signal.SIGKILL)
    return "exit", peak


def _memory_mb(pid: int) -> int:
    """Resident memory of a process and its descendants."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total // 2**20


def _stop(child: subprocess.Popen[bytes]) -> None:
    _kill_group(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    _kill_group(child.pid, signal.SIGKILL)


def _kill_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
