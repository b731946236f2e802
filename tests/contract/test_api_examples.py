"""The examples of docs/api.md, run as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_server import live_server

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.S | re.M)


@pytest.fixture
def url(live_db) -> Iterator[str]:
    with live_server() as address:
        yield address


@pytest.mark.parametrize("command", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_answers(url, organisation, make_key, command):
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    result = subprocess.run(
        ["sh", "-euc", command],
        env={**os.environ, "URL": url, "KEY": make_key(organisation), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    answer = json.loads(result.stdout)
    if "tea:make" in command:
        said = re.search(r"```json\n(.*?)```", TEXT, flags=re.S)
        assert said is not None
        assert answer == json.loads(said[1])


def test_there_are_examples():
    assert len(EXAMPLES) >= 5
