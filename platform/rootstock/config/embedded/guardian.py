"""Stops what a killed parent left running.

Run as a script of its own by `processes.Guardian`, with nothing but the standard library, so that
it is up in milliseconds and small. It reads a pipe whose other end only the parent holds:

    + PID SIGNAL GROUP     watch PID; GROUP is 1 when the signal goes to its process group
    - PID                  it ended in good order, forget it

When the pipe closes, the parent is gone, in whatever way (kill -9, out of memory): every process
that is still watched gets its signal, and SIGKILL if it is not gone after `PATIENCE` seconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

PATIENCE = 8.0


def send(pid: int, number: int, group: bool) -> None:
    """Signal a process or its group, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def lives(pid: int) -> bool:
    """Whether the process still runs; one that waits to be collected (a zombie) does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().rsplit(")", maxsplit=1)[1].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:  # no /proc (macOS), or not ours to look at
        return True


def watch() -> dict[int, tuple[int, bool]]:
    """Follow the parent until it is gone; returns what it left: {pid: (signal, group)}."""
    watched: dict[int, tuple[int, bool]] = {}
    for line in sys.stdin:
        sign, pid, *rest = line.split()
        if sign == "+":
            watched[int(pid)] = (int(rest[0]), rest[1] == "1")
        else:
            watched.pop(int(pid), None)
    return watched


def main() -> None:
    """Watch, then clean up."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    left = watch()
    for pid, (number, group) in left.items():
        send(pid, number, group)
    deadline = time.monotonic() + PATIENCE
    while any(lives(pid) for pid in left) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid, (_, group) in left.items():
        if lives(pid):
            send(pid, signal.SIGKILL, group)


if __name__ == "__main__":
    main()
