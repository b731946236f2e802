"""Load on a server: so many clients one request after the other, or requests at a rate whatever the answers do.

HTTP/1.1 over TCP or a Unix socket with a client so small that it takes little from the cores that it shares with the
server; the same for every system. Every load ends by itself: after its seconds, each request after its time.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

# What is not answered in this time counts as not answered.
REQUEST_SECONDS = 10.0
# Of an open load: more requests than this are never under way at once.
CONNECTIONS = 1024
NO_ANSWER = 0


@dataclass(frozen=True)
class Target:
    """Where a text is asked: "unix:///path.sock" or "http://host:port", and the request that asks it."""

    address: str
    path: str
    body: Callable[[str], bytes]
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, text: str) -> bytes:
        """The bytes of the request."""
        body = self.body(text)
        lines = {
            "Host": "localhost",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **self.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(frozen=True)
class Answer:
    """``status`` is NO_ANSWER when the connection broke or the time was over; ``seconds`` run from when the request was
    due, so that a client that falls behind hides nothing. ``done`` is a monotonic time."""

    status: int
    seconds: float
    done: float


@dataclass(frozen=True)
class Load:
    """All answers of a load that took ``seconds``; the last came ``drain`` seconds after its end."""

    answers: Sequence[Answer]
    seconds: float
    drain: float = 0.0

    @property
    def accepted(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == 200]

    @property
    def rate(self) -> float:
        """Requests answered with 200 a second."""
        return len(self.accepted) / self.seconds

    def milliseconds(self, percentile: float) -> float | None:
        """That percentile of the accepted requests' times; None when none was accepted."""
        taken = [answer.seconds for answer in self.accepted]
        return float(np.percentile(taken, percentile)) * 1000 if taken else None

    def statuses(self) -> str:
        """For the table: "200: 812, 429: 1,630"."""
        counts = Counter(answer.status for answer in self.answers)
        return ", ".join(
            f"{'no answer' if status == NO_ANSWER else status}: {counts[status]:,}"
            for status in sorted(counts)
        )


class Connection:
    """One kept-open connection, opened again after it broke."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, text: str) -> int:
        """The status of the answer; NO_ANSWER when there is none in time."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._ask(text)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.close()
            return NO_ANSWER

    async def _ask(self, text: str) -> int:
        if self._streams is None:
            self._streams = await _open(self._target.address)
        reader, writer = self._streams
        writer.write(self._target.request(text))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        if length:
            await reader.readexactly(int(length))
        else:
            await reader.readuntil(b"0\r\n\r\n")  # chunked: the last chunk is empty
        if b"connection: close" in head:
            self.close()
        return int(head.split(maxsplit=2)[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix://"):
        return await asyncio.open_unix_connection(address.removeprefix("unix://"))
    host, _, port = address.removeprefix("http://").rpartition(":")
    return await asyncio.open_connection(host, int(port))


def closed_load(
    target: Target, texts: Sequence[str], *, clients: int, seconds: float, requests: int = 1_000_000
) -> Load:
    """``clients`` that each send the next text when the last is answered, for so many seconds or requests in all."""

    async def run() -> Load:
        sent = 0
        waiting = cycle(texts)
        answers: list[Answer] = []
        started = time.monotonic()

        async def client() -> None:
            nonlocal sent
            connection = Connection(target)
            while sent < requests and time.monotonic() < started + seconds:
                sent += 1
                due = time.monotonic()
                status = await connection.ask(next(waiting))
                answers.append(Answer(status, time.monotonic() - due, time.monotonic()))
            connection.close()

        await asyncio.gather(*(client() for _ in range(clients)))
        return Load(answers, time.monotonic() - started)

    return asyncio.run(run())


def open_load(target: Target, texts: Sequence[str], *, rate: float, seconds: float) -> Load:
    """Requests at ``rate`` a second on average (a Poisson process), whether the last are answered or not."""
    _allow_connections()

    async def run() -> Load:
        free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for _ in range(CONNECTIONS):
            free.put_nowait(Connection(target))
        answers: list[Answer] = []

        async def request(text: str, due: float) -> None:
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    connection = await free.get()
            except TimeoutError:
                answers.append(Answer(NO_ANSWER, time.monotonic() - due, time.monotonic()))
                return
            status = await connection.ask(text)
            free.put_nowait(connection)
            answers.append(Answer(status, time.monotonic() - due, time.monotonic()))

        started = time.monotonic()
        under_way = set()
        for text, after in zip(cycle(texts), _arrivals(rate, seconds), strict=False):
            due = started + after
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            task = asyncio.create_task(request(text, due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        while not free.empty():
            free.get_nowait().close()
        last = max((answer.done for answer in answers), default=0.0)
        return Load(answers, seconds, max(0.0, last - started - seconds))

    return asyncio.run(run())


def recovery_seconds(
    target: Target, texts: Sequence[str], *, normal: float, limit: float
) -> float | None:
    """Seconds until five requests in a row, one after the other, are answered within ``normal`` seconds each; None when
    that does not happen within ``limit``."""

    async def run() -> float | None:
        connection = Connection(target)
        started = time.monotonic()
        good, since = 0, started
        for text in cycle(texts):
            asked = time.monotonic()
            if asked - started > limit:
                break
            status = await connection.ask(text)
            if status == 200 and time.monotonic() - asked <= normal:
                since = asked if good == 0 else since
                good += 1
            else:
                good = 0
                await asyncio.sleep(0.05)
            if good == 5:
                connection.close()
                return since - started
        connection.close()
        return None

    return asyncio.run(run())


def _arrivals(rate: float, seconds: float) -> Iterator[float]:
    rng = random.Random(0)
    at = rng.expovariate(rate)
    while at < seconds:
        yield at
        at += rng.expovariate(rate)


def _allow_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CONNECTIONS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
