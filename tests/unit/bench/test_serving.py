"""The bench of serving: its texts are what it says, its load generators count every request, servers leave nothing."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.serving import SECTION, load, processes, texts
from bench.serving.gpu import flops_per_token, measured
from bench.training.data import data_directory


class _Server(threading.Thread):
    """Answers ``statuses`` in turn, after ``delay`` seconds, at a Unix socket."""

    def __init__(self, path: Path, statuses: list[int], delay: float) -> None:
        super().__init__(daemon=True)
        self.path, self.statuses, self.delay, self.asked = path, statuses, delay, 0
        self.ready, self.done = threading.Event(), threading.Event()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with await asyncio.start_unix_server(self._answer, str(self.path)):
            self.ready.set()
            while not self.done.is_set():
                await asyncio.sleep(0.01)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                status = self.statuses[self.asked % len(self.statuses)]
                self.asked += 1
                await asyncio.sleep(self.delay)
                if not status:
                    writer.close()
                    return
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        except asyncio.IncompleteReadError:
            writer.close()


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[_Server]:
    statuses, delay = getattr(request, "param", ([200], 0.0))
    server = _Server(tmp_path / "s", statuses, delay)
    server.start()
    server.ready.wait(5)
    yield server
    server.done.set()
    server.join(5)


def target(server: _Server) -> load.Target:
    return load.Target(f"unix://{server.path}", "/", str.encode)


@pytest.mark.parametrize("server", [([200, 429, 200, 0], 0.0)], indirect=True)
def test_every_request_is_counted_by_what_was_answered(server: _Server) -> None:
    found = load.closed_load(target(server), ["a", "é"], clients=3, seconds=30, requests=40)
    assert len(found.answers) == server.asked == 40
    assert found.statuses() == "no answer: 10, 200: 20, 429: 10"
    assert len(found.accepted) == 20
    assert found.rate == pytest.approx(20 / found.seconds)


@pytest.mark.parametrize("server", [([200], 0.2)], indirect=True)
def test_an_open_load_does_not_wait_for_answers(server: _Server) -> None:
    found = load.open_load(target(server), ["a"], rate=100, seconds=1)
    assert 60 < len(found.answers) < 150, "one client would have sent five"
    assert {answer.status for answer in found.answers} == {200}
    assert (found.milliseconds(50) or 0) >= 190
    assert found.drain > 0.1


def test_nobody_there_is_no_answer(tmp_path: Path) -> None:
    nobody = load.Target(f"unix://{tmp_path}/nobody", "/", str.encode)
    found = load.closed_load(nobody, ["a"], clients=2, seconds=5, requests=6)
    assert found.statuses() == "no answer: 6"
    assert found.milliseconds(99) is None
    assert load.recovery_seconds(nobody, ["a"], normal=1, limit=0.3) is None


def test_recovery_begins_with_the_first_of_five_good_answers(server: _Server) -> None:
    found = load.recovery_seconds(target(server), ["a"], normal=5, limit=10)
    assert found is not None
    assert found < 5


def test_a_server_and_its_children_are_measured_and_stopped(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('there', flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-c", code], log, 1)
    seconds = processes.seconds_until_ready(process, log, lambda: "there" in log.read_text(), 30)
    assert 0 < seconds < 30
    family = psutil.Process(process.pid).children()
    memory, count = processes.memory_mb(process.pid)
    assert count == 2
    assert memory > 1
    processes.stop(process)
    assert not any(child.is_running() for child in family)


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-c", "raise SystemExit('no model')"], log, 1)
    with pytest.raises(RuntimeError, match="no model"):
        processes.seconds_until_ready(process, log, lambda: False, 30)


def test_texts_are_as_long_as_they_are_said_to_be() -> None:
    try:
        data_directory()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    found = texts.realistic(300)
    assert len(set(found)) == 300
    assert found == texts.realistic(300)
    assert 37 < texts.mean_tokens(found) < 49
    assert 18 < texts.mean_tokens(texts.of_length(50, 20)) <= 20
    assert texts.mean_tokens(texts.short_queries(300)) < 20


def test_every_configuration_has_a_line_and_is_its_own() -> None:
    from bench.serving import _LINES

    found = SECTION.configurations()
    assert {each["line"] for each in found} == set(_LINES)
    assert len({str(each) for each in found}) == len(found)


def test_the_rows_of_a_gpu_are_measured_on_whatever_is_here(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertConfig, BertModel

    from ml_core.models import resolve_base

    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )  # fmt: skip
    assert flops_per_token(config, 10) == 2 * (2 * (4 * 32 * 32 + 2 * 32 * 64) + 4 * 10 * 32)
    BertModel(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(str(resolve_base("packaged"))).save_pretrained(tmp_path)
    rows = measured("tiny", 16, tmp_path, device="cpu", count=64, progress=lambda _: None)
    assert [row["system"] for row in rows] == ["sentence-transformers, bf16", "Rootstock"]
    assert all(row["tokens_rate"] > 0 and row["utilisation"] > 0 for row in rows)
