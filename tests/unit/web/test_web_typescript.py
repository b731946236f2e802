"""The TypeScript has right types, its unit tests pass, and its lock file names no host."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FRONTEND = Path(__file__).parents[3] / "platform/frontend"


@pytest.mark.parametrize("task", ["check", "test"])
def test_npm_task_passes(task: str) -> None:
    if shutil.which("npm") is None or not (FRONTEND / "node_modules").exists():
        pytest.skip("no npm, or `npm ci` was not run in platform/frontend")
    outcome = subprocess.run(
        ["npm", "run", "--silent", task], cwd=FRONTEND, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_the_lock_file_names_no_host() -> None:
    text = (FRONTEND / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    assert text.count('"integrity"') > 10
