"""Documents through the whole monitor at full load: how many a second, how soon an alert shows, how memory holds.

Everything of *Understanding* is on: language, sentiment, topic, event, names and their sentiment by five heads on one
encoder, novelty, stories and threads. The platform is real: web, worker, poller, beat, inference, PostgreSQL, Redis.
`ROOTSTOCK_BENCH_SOAK_MINUTES` makes the soak shorter.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from bench.finance.load_texts import ARTICLE_EVERY, CUT, HEADLINE, Text, texts
from bench.harness import Column, Progress, Row
from bench.installation import Running, installation

DOCUMENTS = 6000
WARM_UP = 600
BATCH = 200
SOAK_MINUTES = float(os.environ.get("ROOTSTOCK_BENCH_SOAK_MINUTES") or 30)
# Of the rate that was measured before, what the soak sends.
SOAK_SHARE = 0.7
STAGES = ("inference", "worker", "web", "postgres", "redis", "beat", "poller")
_STALL_SECONDS = 120
_READY_SECONDS = 300
_POLL_SECONDS = 0.25

COLUMNS = (
    Column("what", "what"),
    Column("documents", "documents", ",d"),
    Column("rate", "documents/s", ".1f"),
    Column("tokens", "mean tokens", ".1f"),
    Column("backends", "encoders computed by"),
    *(Column(stage, f"{stage} ms/doc", ".2f") for stage in STAGES),
    Column("whole", "all ms/doc", ".2f"),
    Column("busy", "cores busy", ".2f"),
    Column("other", "load by others", ".2f"),
    Column("minutes", "minutes", ".0f"),
    Column("memory_first", "MB after warm-up", ",.0f"),
    Column("memory_last", "MB at the end", ",.0f"),
    Column("memory_growth", "MB an hour", ",.0f"),
)
NOTES = (
    f"load: of {ARTICLE_EVERY} texts one is an article cut at {CUT} tokens, the others are headlines "
    f"of at most {HEADLINE}; English and Chinese, no text twice. The clock runs from the first POST until the last "
    "document is scored and the last story is in a thread. ms/doc: processor time of a process and its children, "
    "divided by the documents; load by others: processors that other programs kept busy meanwhile.",
)


def configurations() -> list[dict[str, Any]]:
    """Full load, and a soak below it."""
    return [
        {"what": "sustained", "documents": DOCUMENTS},
        {"what": "soak", "minutes": SOAK_MINUTES},
    ]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """An installation of its own, with models trained for it."""
    with world(progress) as running:
        if configuration["what"] == "sustained":
            row = sustained(running, configuration["documents"], progress)
        else:
            row = soak(running, configuration["minutes"], progress)
    return [{**configuration, **row}]


@contextmanager
def world(progress: Progress) -> Iterator[Running]:
    """All processes with the models deployed and the backends of the encoders chosen."""
    with tempfile.TemporaryDirectory(prefix="rootstock-load-") as folder:
        Path(folder).chmod(0o755)
        with installation(Path(folder) / "var", progress) as running:
            progress("five heads are trained together")
            running.run("-m", "bench.finance.load_setup")
            yield running


class Sender:
    """Posts texts one batch after the other, published one second apart up to this moment."""

    def __init__(self, running: Running) -> None:
        self._texts = texts()
        self._sent = 0
        self._client = httpx.Client(base_url=running.url, headers=headers(running), timeout=60)
        self._begin = datetime.now(UTC) - timedelta(hours=12)
        self.tokens = 0

    def send(self, count: int) -> None:
        """The next so many."""
        for start in range(0, count, BATCH):
            batch = list(islice(self._texts, min(BATCH, count - start)))
            documents = [self._document(text) for text in batch]
            self._client.post(
                "/api/v1/finance/documents", json={"documents": documents}
            ).raise_for_status()

    def _document(self, text: Text) -> dict[str, Any]:
        self._sent += 1
        self.tokens += text.tokens
        return {
            "external_id": f"load-{self._sent}",
            "source": text.source,
            "title": text.title,
            "body": text.body,
            "published_at": (self._begin + timedelta(seconds=self._sent)).isoformat(),
        }


def headers(running: Running) -> dict[str, str]:
    """Those of a call with the installation's API key."""
    path = Path(running.variables["ROOTSTOCK_VAR"]) / "demo.json"
    return {"Authorization": f"Bearer {json.loads(path.read_text())['api_key']}"}


def sustained(running: Running, count: int, progress: Progress) -> Row:
    """Post as fast as it is taken; the clock stops when nothing waits any more."""
    sender = Sender(running)
    with Waiting(running) as waiting:
        warm_up(running, sender, waiting, progress)
        sender.tokens = 0
        before, machine = running.cpu_seconds(), psutil.cpu_times()
        started = time.monotonic()
        sender.send(count)
        progress(f"posted after {time.monotonic() - started:.1f} s")
        waiting.until_done()
        seconds = time.monotonic() - started
        after, machine_after = running.cpu_seconds(), psutil.cpu_times()
    spent = {name: after[name] - before.get(name, 0.0) for name in after}
    whole = sum(spent.values())
    return {
        "rate": count / seconds,
        "tokens": sender.tokens / count,
        "backends": ", ".join(sorted(backends(running))),
        **{name: seconds_spent * 1000 / count for name, seconds_spent in spent.items()},
        "whole": whole * 1000 / count,
        "busy": whole / seconds,
        "other": (_busy(machine_after) - _busy(machine) - whole) / seconds,
    }


def _busy(times: Any) -> float:
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def warm_up(running: Running, sender: Sender, waiting: Waiting, progress: Progress) -> None:
    """Until the first documents are through and the fastest backend of each encoder is found and in use."""
    sender.send(WARM_UP)
    waiting.until_done()
    deadline = time.monotonic() + _READY_SECONDS
    while len(found := backends(running)) < 2 or None in found.values():
        if time.monotonic() > deadline:
            raise RuntimeError("the backends of the encoders were not chosen")
        progress("backends are measured")
        time.sleep(5)
    sender.send(WARM_UP)
    waiting.until_done()
    progress("ready")


def backends(running: Running) -> dict[str, Any]:
    """Of the encoders in use, by backend and how many models it serves: what was measured when it was chosen."""
    from ml_core.serving import InferenceClient

    client = InferenceClient(
        running.variables["ROOTSTOCK_INFERENCE_ADDRESS"],
        token=running.variables["ROOTSTOCK_INFERENCE_TOKEN"],
    )
    try:
        return {
            f"{each.backend} ({len(each.models)} models)": each.calibration
            for each in client.health().backbones
        }
    finally:
        client.close()


class Waiting:
    """Looks beside the application at what still waits."""

    def __init__(self, running: Running) -> None:
        self._connection = psycopg.connect(running.variables["DATABASE_URL"], autocommit=True)
        account = "SELECT id FROM organisation_by_slug('acme-bank')"
        found = self._connection.execute(account).fetchone()
        assert found is not None  # noqa: S101 - the set-up made it
        self._connection.execute(
            "SELECT set_config('rootstock.organisation', %s, false)", [str(found[0])]
        )

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def counts(self) -> tuple[int, int]:
        """Documents that wait for their score and stories that wait for their thread."""
        row = self._connection.execute(
            "SELECT (SELECT count(*) FROM finance_sentiment_document WHERE status = 'pending'),"
            " (SELECT count(*) FROM finance_sentiment_threadstory WHERE thread_id IS NULL)"
        ).fetchone()
        assert row is not None  # noqa: S101 - a count is always one row
        return row[0], row[1]

    def until_done(self) -> None:
        """Raises RuntimeError when nothing moves for two minutes."""
        last, moved = (0, 0), time.monotonic()
        while any(now := self.counts()):
            if now != last:
                last, moved = now, time.monotonic()
            if time.monotonic() - moved > _STALL_SECONDS:
                raise RuntimeError(f"{now[0]} documents and {now[1]} stories stay; see worker.log")
            time.sleep(_POLL_SECONDS)


def soak(running: Running, minutes: float, progress: Progress) -> Row:
    """Below full load for long: what memory does."""
    sender = Sender(running)
    with Waiting(running) as waiting:
        warm_up(running, sender, waiting, progress)
        started = time.monotonic()
        sender.send(WARM_UP)
        waiting.until_done()
        rate = SOAK_SHARE * WARM_UP / (time.monotonic() - started)
        memory: list[tuple[float, float]] = [(0.0, megabytes(running))]
        started, sent = time.monotonic(), 0
        while (now := time.monotonic() - started) < minutes * 60:
            due = int(now * rate) - sent
            if due >= BATCH:
                sender.send(BATCH)
                sent += BATCH
            if now - memory[-1][0] >= 30:
                memory.append((now, megabytes(running)))
                progress(f"{now / 60:.1f} min, {sent:,} documents, {memory[-1][1]:,.0f} MB")
            time.sleep(0.1)
        seconds = time.monotonic() - started
        waiting.until_done()
    later = memory[len(memory) // 5 :]
    slope = statistics.linear_regression(*zip(*later, strict=True)).slope if len(later) > 1 else 0
    return {
        "documents": sent,
        "rate": sent / seconds,
        "memory_first": memory[0][1],
        "memory_last": memory[-1][1],
        "memory_growth": slope * 3600,
    }


def megabytes(running: Running) -> float:
    """What the platform's own processes hold; PostgreSQL and Redis keep what they are told to keep."""
    return sum(
        each.memory_info().rss / 1e6
        for process in running.processes.values()
        for each in (
            psutil.Process(process.pid),
            *psutil.Process(process.pid).children(recursive=True),
        )
    )
