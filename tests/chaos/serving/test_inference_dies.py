"""The inference process is killed while many callers ask: each gets an answer or an error that says "try again", the
supervisor starts another process, and the models are loaded again by the next call."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_core.serving import (
    AsyncInferenceClient,
    DeadlineExceeded,
    InferenceUnavailable,
    PredictRequest,
)
from rootstock.launch.programs import Program, inference_answers
from rootstock.launch.supervisor import RunFile, Supervisor

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(400)]
MODEL = "base:packaged"
CALLERS = 8
KILLS = 2
# A start on a machine with other work to do takes a while; nobody waits for longer.
DEADLINE_SECONDS = 20.0
WORDS = [
    "the",
    "company",
    "bank",
    "market",
    "shares",
    "profit",
    "record",
    "lawsuit",
    "quarter",
    "report",
    "today",
]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/i.sock"


@pytest.fixture
def boss(tmp_path: Path, address: str) -> Iterator[Supervisor]:
    """The platform's supervisor with the real process."""
    (tmp_path / "models").mkdir()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    boss = Supervisor(environment, tmp_path, RunFile(tmp_path / "run.json"), {"pid": 1}, list)
    command = [
        sys.executable, "-m", "ml_core", "serve", "--address", address, "--allowed-root", str(tmp_path / "models"),
        "--threads", "1", "--device", "cpu", "--backend", "torch", "--cache-mb", "0",
    ]  # fmt: skip
    boss.start([Program("inference", command, lambda: inference_answers(address))])
    yield boss
    boss.stop(seconds=5)


async def ready(client: AsyncInferenceClient, boss: Supervisor) -> None:
    """Wait until the process answers, looking after it as the supervisor's own loop does."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        boss.look_after()
        try:
            await client.predict([PredictRequest(MODEL, ["ready?"])], timeout=10)
        except (InferenceUnavailable, DeadlineExceeded):
            await asyncio.sleep(0.2)
        else:
            return
    raise AssertionError("the process did not come back")


async def test_kills_under_load_leave_answers_and_retryable_errors_alone(
    boss: Supervisor, address: str
) -> None:
    outcomes: Counter[str] = Counter()
    late: list[float] = []
    stop = False

    async def caller(client: AsyncInferenceClient, seed: int) -> None:
        generator = random.Random(seed)
        while not stop:
            texts = [" ".join(generator.choices(WORDS, k=20)) for _ in range(4)]
            started = time.monotonic()
            try:
                [result] = await client.predict([PredictRequest(MODEL, texts)])
            except (InferenceUnavailable, DeadlineExceeded) as error:
                outcomes[type(error).__name__] += 1
                await asyncio.sleep(0.05)
            else:
                assert len(result.outputs) == 4
                outcomes["answered"] += 1
            late.append(time.monotonic() - started)

    async with AsyncInferenceClient(address, timeout=DEADLINE_SECONDS) as client:
        await ready(client, boss)
        callers = [asyncio.create_task(caller(client, seed)) for seed in range(CALLERS)]
        pids = set()
        for _ in range(KILLS):
            await asyncio.sleep(1.0)
            process = boss.children[0].process
            assert process is not None
            pids.add(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            before = outcomes["answered"]
            await ready(client, boss)
            while outcomes["answered"] == before:
                await asyncio.sleep(0.05)
        stop = True
        await asyncio.gather(*callers)
        health = await client.health()
    assert len(pids) == KILLS
    assert outcomes["answered"] > CALLERS
    assert set(outcomes) <= {"answered", "InferenceUnavailable", "DeadlineExceeded"}
    # The process's own answer comes at most a second after the deadline.
    assert max(late) < DEADLINE_SECONDS + 5
    assert health.status == "ok"
    assert [each.model for each in health.models] == [MODEL]
