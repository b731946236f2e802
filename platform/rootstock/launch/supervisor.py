"""One parent for all processes: starts them, watches them, starts them again, stops them together.

Nothing survives it: children are in sessions of their own, and the guardian ends them if the
supervisor itself is killed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from rootstock.config.embedded.processes import GUARDIAN, StartError, last_lines, spawn
from rootstock.launch.bootstrap import ROOT
from rootstock.launch.phases import write
from rootstock.launch.programs import Program

STOP_SECONDS = 5.0
HEALTH_EVERY = 15.0
# A process that has not answered for a minute (a busy one may miss a check or two) is started again.
MISSES_ALLOWED = 4
LONGEST_PAUSE = 60.0
# A process that ran this long starts again at once when it fails.
STEADY_SECONDS = 60.0
ATTEMPTS_AT_START = 3
LARGEST_LOG = 50 * 1024 * 1024


@dataclass
class Child:
    """A program and the process that runs it at the moment (None while it waits to be restarted)."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    ready: bool = False
    failures: int = 0
    start_again_at: float = 0.0
    next_check: float = 0.0
    misses: int = 0


class RunFile:
    """`var/supervisor.json`: what runs, for the next start, which may find this one killed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any] | None:
        """What was noted last, None when there was a clean end."""
        try:
            content: dict[str, Any] = json.loads(self.path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return content

    def write(self, content: dict[str, Any]) -> None:
        """Replace it in one step."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(content, indent=1))
        new.replace(self.path)

    def remove(self) -> None:
        """A clean end."""
        self.path.unlink(missing_ok=True)


def clean_stale_run(run: RunFile) -> bool:
    """End what a killed supervisor left (its guardian normally has); whether there was such a run."""
    content = run.read()
    if content is None:
        run.remove()
        return False
    for pid, created in content.get("processes", {}).values():
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1:  # the number may be somebody else's by now
                os.killpg(pid, signal.SIGKILL)
                process.wait(5)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    run.remove()
    return True


class Supervisor:
    """Runs programs until `stop`."""

    def __init__(
        self,
        environment: Mapping[str, str],
        logs: Path,
        run: RunFile,
        about: dict[str, Any],
        revive_services: Callable[[], list[str]],
    ) -> None:
        """
        Args:
            environment: of every program.
            logs: the folder of one log a program.
            run: where it is noted what runs.
            about: what else is noted there (url, pid …).
            revive_services: starts embedded servers that have died; returns their names.
        """
        self.environment = dict(environment)
        self.logs = logs
        self.run_file = run
        self.about = about
        self.revive_services = revive_services
        self.children: list[Child] = []

    def start(self, programs: Sequence[Program]) -> None:
        """Start programs, without waiting until they are ready."""
        for program in programs:
            child = Child(program, self.logs / f"{program.name}.log")
            self.children.append(child)
            self._spawn(child)

    def wait_until_ready(self, seconds: float, waiting: Callable[[list[str]], None]) -> None:
        """Return when every program does its work; `waiting` is told which do not yet.

        Raises:
            StartError: one keeps ending, or is not ready in time; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while missing := [child for child in self.children if not child.ready]:
            waiting([child.program.name for child in missing])
            self.look_after(quiet=True)
            for child in missing:
                if child.failures >= ATTEMPTS_AT_START:
                    raise StartError(f"{child.program.name} does not start. {self._tail(child)}")
                if child.process is not None:
                    check = child.program.healthy
                    child.ready = check is None or check()
            late = [child for child in self.children if not child.ready]
            if late and time.monotonic() > deadline:
                names = ", ".join(child.program.name for child in late)
                raise StartError(f"Not ready after {seconds:.0f} s: {names}. {self._tail(late[0])}")
            time.sleep(0.1)
        for child in self.children:
            child.next_check = time.monotonic() + HEALTH_EVERY

    def run(self) -> None:
        """Look after everything for ever; ended by an exception from a signal handler."""
        while True:
            self.look_after()
            self._check_health()
            self._trim_logs()
            time.sleep(0.25)

    def look_after(self, *, quiet: bool = False) -> None:
        """Notice who has ended, start again whose pause is over."""
        for name in self.revive_services():
            write(f"{clock()} {name} had stopped and was started again")
        for child in self.children:
            if child.process is None:
                if time.monotonic() >= child.start_again_at:
                    self._spawn(child)
            elif (status := child.process.poll()) is not None:
                self._ended(child, status, quiet=quiet)

    def stop(self, *, seconds: float = STOP_SECONDS) -> None:
        """Ask all to end, end those that do not, and everything that they have started."""
        running = [child for child in self.children if child.process is not None]
        for child in running:
            send(child, signal.SIGTERM, group=False)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(
            child.process is not None and child.process.poll() is None for child in running
        ):
            time.sleep(0.05)
        for child in running:
            self._end_group(child)
        self.children.clear()

    def _spawn(self, child: Child) -> None:
        with child.log.open("ab") as log:
            child.process = spawn(
                child.program.command, log=log, environment=self.environment, directory=ROOT
            )
        child.started = time.monotonic()
        child.ready = False
        child.misses = 0
        child.next_check = child.started + HEALTH_EVERY
        self._note()

    def _ended(self, child: Child, status: int, *, quiet: bool) -> None:
        ran = time.monotonic() - child.started
        self._end_group(child)
        child.failures = 1 if ran > STEADY_SECONDS else child.failures + 1
        pause = min(2.0 ** (child.failures - 1), LONGEST_PAUSE)
        child.start_again_at = time.monotonic() + pause
        child.ready = False
        if not quiet:
            write(
                f"{clock()} {child.program.name} {how(status)} after {ran:.0f} s; "
                f"it starts again in {pause:.0f} s. {self._tail(child)}"
            )

    def _end_group(self, child: Child) -> None:
        """Kill what is left of the process and what it started."""
        if child.process is None:
            return
        send(child, signal.SIGKILL, group=True)
        child.process.wait()
        GUARDIAN.forget(child.process.pid)
        child.process = None

    def _check_health(self) -> None:
        for child in self.children:
            check = child.program.healthy
            if child.process is None or check is None or time.monotonic() < child.next_check:
                continue
            child.misses = 0 if check() else child.misses + 1
            child.next_check = time.monotonic() + HEALTH_EVERY
            if child.misses > MISSES_ALLOWED:
                silent = HEALTH_EVERY * child.misses
                write(f"{clock()} {child.program.name} has not answered for {silent:.0f} s")
                send(child, signal.SIGKILL, group=True)  # look_after starts it again

    def _trim_logs(self) -> None:
        """Keep one old part of a log that has grown too large; the writers append, so they go on."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LARGEST_LOG:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)

    def _note(self) -> None:
        processes = {}
        for child in self.children:
            if child.process is not None:
                try:
                    created = psutil.Process(child.process.pid).create_time()
                except psutil.NoSuchProcess:
                    continue
                processes[child.program.name] = [child.process.pid, created]
        self.run_file.write({**self.about, "processes": processes})

    @staticmethod
    def _tail(child: Child) -> str:
        return f"The end of {child.log}:\n{last_lines(child.log)}"


def send(child: Child, number: int, *, group: bool) -> None:
    """Signal a child or its whole group, which may be gone already."""
    if child.process is None:
        return
    try:
        (os.killpg if group else os.kill)(child.process.pid, number)
    except ProcessLookupError:
        return


def how(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def clock() -> str:
    """The time of day, for messages."""
    return time.strftime("%H:%M:%S")
