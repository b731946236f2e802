"""The whole path with people on it: how soon an answer begins to be written, and what many open sockets cost."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.customer.latency import SECONDS_BETWEEN, VISITORS, passages
from bench.customer.visitors import Talk, channel_client
from bench.harness import Progress, Row
from bench.installation import Running, installation

# Of one file that is uploaded.
_PASSAGES_A_FILE = 200
_PAIRS = 60
IDLE, ACTIVE = 1000, 100
# So often an active visitor writes.
_WRITES_EVERY = 10.0
_AT_ONCE = 20
# In which models are loaded and their back ends chosen, beside the first questions.
_WARM_SECONDS = 60.0
_NO_LIMIT = "1000000"


def configurations() -> list[dict[str, Any]]:
    """Answers from a small and from the large shelf, and sockets."""
    return [
        {"part": "answers", "passages": 5_000, "seconds": 120},
        {"part": "answers", "passages": 100_000, "seconds": 180},
        {"part": "sockets", "passages": 0, "seconds": 60},
    ]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Fill an installation of its own, and let people come."""
    with tempfile.TemporaryDirectory(prefix="rootstock-live-") as name:
        # PostgreSQL runs as another user where we are root.
        folder = Path(name)
        folder.chmod(0o755)
        texts = write_shelf(folder, configuration["passages"])
        without = ["trainer"] if texts else ["trainer", "inference"]
        limits = {
            f"ROOTSTOCK_WIDGET_{each}_LIMIT": _NO_LIMIT for each in ("IP", "VISITOR", "MESSAGE")
        }
        with installation(folder / "var", progress, without=without, **limits) as running:
            progress(f"{len(texts):,d} passages are read")
            said = running.run("-m", "bench.customer.shelf", str(folder), json.dumps(configuration))
            shelf = json.loads(said.splitlines()[-1])
            progress("people come")
            if texts:
                return asyncio.run(answers(running, shelf, texts, configuration["seconds"]))
            return asyncio.run(sockets(running, shelf["channel"], configuration["seconds"]))


def write_shelf(folder: Path, count: int) -> list[str]:
    """Passages of Wikipedia as Markdown files, and pairs for a reranker."""
    texts = list(islice(passages("en"), count))
    for start in range(0, len(texts), _PASSAGES_A_FILE):
        # Under a heading of its own each stays a passage of its own.
        parts = [
            f"## {number}\n\n{text}"
            for number, text in enumerate(texts[start : start + _PASSAGES_A_FILE], start)
        ]
        (folder / f"shelf-{start:06d}.md").write_text("\n\n".join(parts), encoding="utf-8")
    pairs = [
        {
            "query": text[:40],
            "document": texts[(at + (0 if right else 7)) % len(texts)],
            "label": right,
        }
        for at, text in enumerate(texts[:_PAIRS])
        for right in (1, 0)
    ]
    (folder / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    return texts


async def answers(
    running: Running, shelf: dict[str, Any], texts: Sequence[str], seconds: float
) -> list[Row]:
    """Twenty visitors ask about some passage every ten seconds or so."""
    took: list[dict[str, float]] = []
    failed: list[str] = []
    begin = time.monotonic() + _WARM_SECONDS

    async def visitor(number: int, until: float) -> None:
        chance = random.Random(number)
        talk = await Talk.begin(http, running.url)
        await talk.ask("What do you know about ships?")
        await asyncio.sleep(chance.uniform(0, SECONDS_BETWEEN))
        while time.monotonic() < until:
            words = chance.choice(texts).split()
            start = chance.randrange(max(1, len(words) - 8))
            question = f"What about {' '.join(words[start : start + chance.randint(3, 8)])}?"
            counted = time.monotonic() > begin
            try:
                answer = await talk.ask(question)
                if counted:
                    took.append(answer)
            except (RuntimeError, TimeoutError, OSError) as error:
                failed.append(repr(error))
            await asyncio.sleep(chance.expovariate(1 / SECONDS_BETWEEN))
        await talk.line.close()

    async with channel_client(running.url, shelf["channel"]) as http:
        until = begin + seconds
        await asyncio.gather(*(visitor(number, until) for number in range(VISITORS)))
    return [
        {
            "what": f"{shelf['passages']:,d} passages, {VISITORS} visitors, a cross-encoder on the best 10",
            "way": way,
            "questions": len(took),
            **_spread([1000 * each[name] for each in took]),
            "failed": len(failed),
            "filled_seconds": shelf["filled_seconds"],
        }
        for name, way in (("first", "sent → first chunk"), ("whole", "sent → the whole answer"))
    ]


async def sockets(running: Running, channel: str, seconds: float) -> list[Row]:
    """A thousand sockets that only listen, and a hundred whose visitors write, on one web process."""
    web = psutil.Process(running.processes["web"].pid)
    took: list[float] = []
    failed: list[str] = []

    async def writer(number: int, talk: Talk, until: float) -> None:
        chance = random.Random(number)
        await asyncio.sleep(chance.uniform(0, _WRITES_EVERY))
        while time.monotonic() < until:
            try:
                took.append(await talk.echo(f"{number} {time.monotonic()}"))
            except (RuntimeError, TimeoutError, OSError) as error:
                failed.append(repr(error))
            await asyncio.sleep(chance.expovariate(1 / _WRITES_EVERY))

    async with channel_client(running.url, channel) as http:
        warm = await _open(running, http, _AT_ONCE)
        before = web.memory_info().rss
        idle = await _open(running, http, IDLE)
        a_socket = (web.memory_info().rss - before) / IDLE
        active = await _open(running, http, ACTIVE)
        until = time.monotonic() + seconds
        await asyncio.gather(*(writer(*each, until) for each in enumerate(active)))
        for talk in (*warm, *idle, *active):
            await talk.line.close()
    return [
        {
            "what": f"{IDLE:,d} idle and {ACTIVE} active sockets on one web process",
            "way": f"sent → heard on the socket; {a_socket / 1024:.0f} KiB of memory an idle socket",
            "questions": len(took),
            **_spread([1000 * each for each in took]),
            "failed": len(failed),
            "bytes_a_socket": a_socket,
        }
    ]


async def _open(running: Running, http: Any, count: int) -> list[Talk]:
    """So many visitors, some at a time."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one() -> Talk:
        async with gate:
            return await Talk.begin(http, running.url)

    return list(await asyncio.gather(*(one() for _number in range(count))))


def _spread(milliseconds: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return {"p50": float(p50), "p95": float(p95), "longest": max(milliseconds)}
