"""Stops what a killed parent left running.

Run as a script of its own by `processes.Guardian`, with nothing but the standard library, so that
it is up in milliseconds and small. It reads lines from a pipe whose other end only the parent holds:

    + PID SIGNAL GROUP     watch PID; GROUP is 1 when the signal goes to its process group
    - PID                  it ended in good order, forget it

When the pipe closes, the parent is gone, in whatever way (kill -9, out of memory): every process
that is still watched gets its signal, and SIGKILL if it is not gone after `PATIENCE` seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import time

PATIENCE = 8.0


def send(pid: int, number: int, group: bool) -> bool:
    """Signal a process or its group; False when there is none left."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = {pid: how for pid, how in watch().items() if send(pid, *how)}
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {pid: how for pid, how in left.items() if send(pid, 0, how[1])}
    for pid, (_, group) in left.items():
        send(pid, signal.SIGKILL, group)


if __name__ == "__main__":
    main()
