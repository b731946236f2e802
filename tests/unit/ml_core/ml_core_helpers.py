"""Tiny data, the command line, and ways to damage an artefact."""

from __future__ import annotations

import csv
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
WORDS = {
    "positive": ["rises", "gains", "record", "profit", "strong", "beats"],
    "negative": ["falls", "loses", "lawsuit", "deficit", "weak", "misses"],
    "neutral": ["meets", "publishes", "report", "schedule", "annual", "office"],
}
COMMON = ["the", "company", "today", "shares", "of", "a", "bank", "group", "quarter", "market"]


def make_rows(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """(text, label) rows whose label can be told from their words; lengths differ widely."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        label = sorted(WORDS)[number % 3]
        words = generator.choices(COMMON, k=generator.randint(2, 30))
        for _ in range(2):
            words.insert(generator.randint(0, len(words)), generator.choice(WORDS[label]))
        rows.append((" ".join(words), label))
    return rows


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return path


def run_python(
    *arguments: object, timeout: float = 280, **keywords: Any
) -> subprocess.CompletedProcess[str]:
    """A Python process in the repository, with one thread and without the hub."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **keywords,
    )


def run_cli(*arguments: object, **keywords: Any) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "ml_core", *arguments, timeout=120, **keywords)


def torchrun(options: dict[str, Any], *, sharding: str) -> subprocess.CompletedProcess[str]:
    """A training run of two processes on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = []
    for name, value in (options | {"sharding": sharding}).items():
        shown = ",".join(value) if isinstance(value, tuple) else str(value)
        flags += ["--" + name.replace("_", "-"), shown]
    return run_python(
        "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}",
        "-m", "ml_core", "train", *flags,
    )  # fmt: skip


def rewrite_manifest(path: Path, *, drop: str = "", **changes: object) -> None:
    """Change keys of an artefact's manifest, or drop one."""
    file = path / "manifest.json"
    values = json.loads(file.read_text(encoding="utf-8")) | changes
    values.pop(drop, None)
    file.write_text(json.dumps(values), encoding="utf-8")
