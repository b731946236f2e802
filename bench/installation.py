"""An installation of its own for a measurement: servers, processes, and what they spend."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.harness import Progress, run_program
from rootstock.config.embedded import Services, start_services
from rootstock.launch.bootstrap import ROOT
from rootstock.launch.programs import Program, programs

HOST = "127.0.0.1"
READY_SECONDS = 120


class Running:
    """An installation: its processes by name, where it is and a key for it."""

    def __init__(self, variables: dict[str, str], port: int) -> None:
        self.variables = variables
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.services: Services | None = None

    def manage(self, *arguments: str) -> str:
        """Run `manage.py`; what it printed. Raises RuntimeError with its last words when it fails."""
        return self.run("manage.py", *arguments)

    def run(self, *arguments: str) -> str:
        """Run Python in the installation's environment; what it printed. Raises RuntimeError when it fails."""
        return run_program([sys.executable, *arguments], self.variables)

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far, by what spent it."""
        roots = {name: process.pid for name, process in self.processes.items()}
        if self.services and self.services.postgres:
            roots["postgres"] = self.services.postgres.pid
        if self.services and self.services.redis:
            roots["redis"] = self.services.redis.pid
        return {name: _tree_seconds(pid) for name, pid in roots.items()}


def _tree_seconds(pid: int) -> float:
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


@contextmanager
def servers(var: Path, progress: Progress, **more: str) -> Iterator[Running]:
    """PostgreSQL, with every table, and Redis; `more`: environment variables."""
    services = start_services(var)
    port = _free_port()
    running = Running(
        {
            **os.environ,
            **services.variables,
            "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.embedded",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
            "ROOTSTOCK_HOST": HOST,
            "ROOTSTOCK_PORT": str(port),
            **more,
        },
        port,
    )
    running.services = services
    try:
        progress("database")
        running.manage("migrate", "--database", "owner", "--no-input", "--verbosity=0")
        yield running
    finally:
        services.stop()


@contextmanager
def installation(
    var: Path, progress: Progress, *, without: Collection[str] = ("trainer",), **more: str
) -> Iterator[Running]:
    """The servers, and the processes of the platform but those `without`; `more`: environment variables."""
    with servers(var, progress, **more) as running:
        Path(running.variables["ROOTSTOCK_ARTIFACTS"]).mkdir(parents=True, exist_ok=True)
        everything = programs(running.variables, host=HOST, port=running.port)
        wanted = [program for program in everything if program.name not in without]
        try:
            for program in wanted:
                running.processes[program.name] = _start(program, running.variables, var)
            _wait_until_ready(wanted)
            yield running
        finally:
            for process in running.processes.values():
                process.terminate()
            for process in running.processes.values():
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _start(program: Program, variables: dict[str, str], var: Path) -> subprocess.Popen[bytes]:
    with (var / f"{program.name}.log").open("wb") as log:
        return subprocess.Popen(
            program.command,
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _wait_until_ready(wanted: list[Program]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    waiting = [program for program in wanted if program.healthy is not None]
    while waiting:
        waiting = [program for program in waiting if program.healthy and not program.healthy()]
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready: {', '.join(program.name for program in waiting)}")
        time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
