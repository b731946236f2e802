"""Processes of the measured systems: started on the same cores, their memory, stopped with all their children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from rootstock.launch.bootstrap import ROOT

CORES = 2
_STOP_SECONDS = 15.0


@contextmanager
def pinned() -> Iterator[int]:
    """This process and what it starts on two cores; gives the number of threads to compute with."""
    before = os.sched_getaffinity(0)
    chosen = sorted(before)[:CORES]
    os.sched_setaffinity(0, chosen)
    try:
        yield len(chosen)
    finally:
        os.sched_setaffinity(0, before)


def environment(threads: int) -> dict[str, str]:
    """What a measured process sees: our packages, so many threads, no network for models."""
    return os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "true",
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore",
    }


def start(
    command: Sequence[str], log: Path, threads: int, **variables: str
) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own; what it prints goes to ``log``."""
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(threads) | variables,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a process, then whatever is left of its children, wherever they put themselves."""
    family = _family(process.pid)
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        try:
            child.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=_STOP_SECONDS)


def memory_mb(pid: int) -> tuple[float, int]:
    """(proportional set size in MB, processes) of a process and all its children: a page that several share counts
    once."""
    total, count = 0, 0
    for process in _family(pid):
        try:
            total += process.memory_full_info().pss
            count += 1
        except psutil.NoSuchProcess:
            continue
    return total / 1e6, count


def free_port() -> int:
    """A TCP port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seconds_until_ready(
    process: subprocess.Popen[bytes], log: Path, answers: Callable[[], bool], limit: float
) -> float:
    """Seconds from now until ``answers`` says True; raises RuntimeError with the end of the log when the process
    ends before, or the time."""
    started = time.monotonic()
    while not answers():
        if process.poll() is not None or time.monotonic() - started > limit:
            tail = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise RuntimeError(f"the server is not there: {' | '.join(tail)}")
        time.sleep(0.05)
    return time.monotonic() - started


def _family(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
