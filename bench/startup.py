"""How long a clean checkout takes to its address, and the starts after that, phase by phase."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.harness import Column, Progress, Row, Section
from rootstock.launch.bootstrap import ROOT

PHASES = (
    "Python packages",
    "PostgreSQL and Redis",
    "Front end",
    "Database",
    "Demo data and models",
    "Processes",
)
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "var", "node_modules", "dist", "__pycache__", "*.mo", ".*_cache"
)
FIRST_START_SECONDS = 1800


def configurations() -> list[dict[str, Any]]:
    """One measurement: a first and a second start of the same checkout."""
    return [{}]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Start a copy of this checkout twice, with a new home each time."""
    with tempfile.TemporaryDirectory(prefix="rootstock-startup-") as folder:
        Path(folder).chmod(0o755)
        checkout = Path(folder) / "checkout"
        shutil.copytree(ROOT, checkout, ignore=NOT_COPIED)
        rows = []
        for start in ("first", "second"):
            home = Path(folder) / f"home-{start}"
            home.mkdir()
            rows.append(start_and_stop(start, checkout, home, progress))
        return rows


def start_and_stop(start: str, checkout: Path, home: Path, progress: Progress) -> Row:
    """One start: the seconds of each phase, and of the stop."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ROOTSTOCK_")},
        "HOME": str(home),
    }
    for name in (
        "PYTHONPATH",
        "DJANGO_SETTINGS_MODULE",
        "DATABASE_URL",
        "REDIS_URL",
        "VIRTUAL_ENV",
    ):
        environment.pop(name, None)
    timings = checkout / "var" / "startup.json"
    output = checkout.parent / f"{start}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [checkout / "script" / "demo"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=environment,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + FIRST_START_SECONDS
        while "Ready after" not in output.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("script/demo did not start:\n" + output.read_text()[-2000:])
            time.sleep(0.2)
        progress(f"{start} start: up")
    finally:
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    measured = json.loads(timings.read_text())
    row: Row = {"start": start, "total": measured["total"], "stop": time.monotonic() - begin}
    return {**row, **measured["phases"]}


SECTION = Section(
    name="startup",
    title="script/demo from a clean checkout to its address (seconds)",
    columns=(
        Column("start", "start"),
        *(Column(phase, phase, ".1f") for phase in PHASES),
        Column("total", "total", ".1f"),
        Column("stop", "stop", ".1f"),
    ),
    configurations=configurations,
    measure=measure,
    sources=("platform", "apps", "ml_core", "script", "pyproject.toml", "constraints.txt"),
    notes=("The first start includes what pip and npm download.",),
)
