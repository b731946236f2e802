"""Writing text for many callers: loads generators, gives their steps to the compute thread between other work, and
hands each caller the pieces of its reply.

A reply belongs to whoever iterates over it: when they stop, its place in the batch is free at the next step.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ml_core.registry.artifact import Artifact, ArtifactError
from ml_core.serving.errors import DeadlineExceeded, InferenceError, ModelNotLoaded, Overloaded
from ml_core.serving.generation_protocol import GenerateRequest, Piece, parse_generate
from ml_core.serving.protocol import Caller

if TYPE_CHECKING:
    from ml_core.serving.generation_batches import Reply
    from ml_core.serving.generation_models import Generator

logger = logging.getLogger(__name__)

# How long a step waits at most for texts that people wait for, so that replies go on under load.
_PATIENCE_SECONDS = 0.1
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class GenerationMetrics:
    """What is counted of replies, in the registry of the engine."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        open_replies: Callable[[], int],
        memory: Callable[[], int],
    ) -> None:
        self.registry = registry
        prefix = "rootstock_inference_generation"
        self.tokens = Counter(
            f"{prefix}_tokens",
            "Tokens read (prompts) and written, by model.",
            ["model", "kind"],
            registry=registry,
        )
        self.replies = Counter(
            f"{prefix}_replies",
            "Replies by model and how they ended: stop, length, cancelled or an error code.",
            ["model", "end"],
            registry=registry,
        )
        self.first_piece_seconds = Histogram(
            f"{prefix}_first_piece_seconds",
            "Time from a call's arrival to its first text.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.step_seconds = Histogram(
            f"{prefix}_step_seconds",
            "Time of a step: one token of each running reply.",
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
            registry=registry,
        )
        Gauge(
            f"{prefix}_open_replies", "Replies being written or waiting.", registry=registry
        ).set_function(open_replies)
        Gauge(
            f"{prefix}_memory_bytes",
            "Memory of loaded generators with their keys and values.",
            registry=registry,
        ).set_function(memory)


class Generations:
    """The replies of all generators of a process; ``start`` and ``close`` belong to its event loop.

    ``find`` gives the directory of a model's name, or raises; ``compute`` is the executor of one thread that runs
    models; ``people_wait`` says whether interactive texts are in line, which go first. At most ``max_open`` replies
    are written or waiting, and the weights of generators take at most ``memory_bytes``: idle ones make room.
    """

    def __init__(
        self,
        *,
        find: Callable[[str], Path],
        compute: Executor,
        registry: CollectorRegistry,
        people_wait: Callable[[], bool] = lambda: False,
        device: str = "auto",
        max_open: int = 64,
        memory_bytes: int = 4 * 1024**3,
    ) -> None:
        self._find = find
        self._compute = compute
        self._people_wait = people_wait
        self._device = device
        self._max_open = max_open
        self._budget = memory_bytes
        self._models: OrderedDict[Path, Generator] = OrderedDict()
        # Replaced by changed files, and not done with their replies yet.
        self._retired: list[Generator] = []
        self._loading: dict[Path, asyncio.Task[Generator]] = {}
        self._open = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.metrics = GenerationMetrics(
            registry, open_replies=lambda: self._open, memory=lambda: self.memory_bytes
        )

    def start(self) -> None:
        self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Stop writing; replies that are read end with "unavailable"."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for model in self._all():
            self._fail(model, InferenceError("the process is going down", code="unavailable"))

    @property
    def memory_bytes(self) -> int:
        """Weights of the loaded generators, and the keys and values of their replies."""
        return sum(model.weight_bytes + model.runner.cache_bytes for model in self._all())

    def _all(self) -> list[Generator]:
        return [*self._models.values(), *self._retired]

    async def generate(
        self, request: GenerateRequest, *, timeout: float | None = None
    ) -> AsyncGenerator[Piece]:
        """The pieces of a reply as they are written; the last one is ``done``.

        Raises before the first piece: Overloaded, ModelNotLoaded, InferenceError "bad_request"; at any time:
        DeadlineExceeded after ``timeout`` seconds, InferenceError when the model fails.
        """
        arrived = time.monotonic()
        if self._open >= self._max_open:
            raise Overloaded(
                f"{self._open} replies are being written and at most {self._max_open} may",
                retry_after=2.0,
            )
        self._open += 1
        end = "cancelled"
        try:
            async with asyncio.timeout(timeout):
                model = await self._get(request.model)
                # The tokenizer is used by the compute thread as well, and is not safe for two.
                loop = asyncio.get_running_loop()
                reply = await loop.run_in_executor(self._compute, model.begin, request)
            left = None if timeout is None else arrived + timeout
            first = True
            async with aclosing(self._pieces(model, reply, left)) as pieces:
                async for piece in pieces:
                    if first:
                        self.metrics.first_piece_seconds.observe(time.monotonic() - arrived)
                        first = False
                    if piece.done:
                        end = str(piece.finish_reason)
                        self._count(request.model, piece)
                    yield piece
        except TimeoutError:
            end = "deadline_exceeded"
            raise DeadlineExceeded(f"not done within {timeout:g} s; the reply ends here") from None
        except InferenceError as error:
            end = error.code
            raise
        finally:
            self._open -= 1
            self.metrics.replies.labels(model=request.model, end=end).inc()

    async def answer(
        self,
        body: Any,
        caller: Caller,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer POST /v1/generate, see `ml_core.serving.app`. Raises InferenceError before anything was sent."""
        request = parse_generate(body)
        await answer_generate(self, request, timeout=caller.timeout, send=send, receive=receive)

    async def _pieces(
        self, model: Generator, reply: Reply, deadline: float | None
    ) -> AsyncGenerator[Piece]:
        news: asyncio.Queue[Piece | InferenceError] = asyncio.Queue()
        model.readers[reply] = news
        model.runner.add(reply)
        self._wake.set()
        try:
            while True:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                async with asyncio.timeout(left):
                    piece = await news.get()
                if isinstance(piece, InferenceError):
                    raise piece
                yield piece
                if piece.done:
                    return
        finally:
            reply.wanted = False
            model.readers.pop(reply, None)

    async def _write(self) -> None:
        """Step every generator that has replies, in turn."""
        loop = asyncio.get_running_loop()
        while True:
            self._retired = [model for model in self._retired if model.readers]
            busy = [model for model in self._all() if model.runner.busy]
            if not busy:
                self._wake.clear()
                await self._wake.wait()
                continue
            for model in busy:
                await self._let_people_go_first()
                started = time.monotonic()
                try:
                    news = await loop.run_in_executor(self._compute, model.runner.step)
                except Exception as error:
                    # Its callers get it; the others' replies go on.
                    logger.exception("a step of a generator failed")
                    self._fail(model, InferenceError(f"the model failed: {error}"))
                    continue
                self.metrics.step_seconds.observe(time.monotonic() - started)
                for reply, piece in news:
                    if reply in model.readers:
                        model.readers[reply].put_nowait(piece)

    async def _let_people_go_first(self) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._people_wait() and time.monotonic() < until:
            await asyncio.sleep(0.002)

    def _fail(self, model: Generator, error: InferenceError) -> None:
        model.runner.drop_all()
        for news in model.readers.values():
            news.put_nowait(error)

    def _count(self, model: str, piece: Piece) -> None:
        self.metrics.tokens.labels(model=model, kind="read").inc(piece.prompt_tokens)
        self.metrics.tokens.labels(model=model, kind="written").inc(piece.completion_tokens)

    async def _get(self, name: str) -> Generator:
        """The loaded generator; where its files have changed it is loaded anew, and the old one ends its replies."""
        path = self._find(name)
        present = self._models.get(path)
        if present is not None:
            with suppress(ArtifactError):
                if Artifact.open(path, verify=False).digest == present.digest:
                    self._models.move_to_end(path)
                    return present
        task = self._loading.get(path)
        if task is None:
            task = asyncio.create_task(self._load(path))
            self._loading[path] = task
            task.add_done_callback(lambda _: self._loading.pop(path, None))
        return await asyncio.shield(task)

    async def _load(self, path: Path) -> Generator:
        # Only a process that writes loads torch and transformers for it.
        from ml_core.serving.generation_models import Generator

        need = sum(file.stat().st_size for file in path.glob("*.safetensors"))
        if need > self._budget:
            raise ModelNotLoaded(
                f"{path}: {need / 2**20:,.0f} MiB; all generators may take {self._budget / 2**20:,.0f}",
                code="model_too_large",
            )
        self._make_room(need)
        model = await asyncio.to_thread(Generator.load, path, device=self._device)
        old = self._models.pop(path, None)
        if old is not None:
            self._retired.append(old)
        self._models[path] = model
        return model

    def _make_room(self, need: int) -> None:
        """Unload idle generators, the least recently used first, until ``need`` more bytes fit."""
        for path, model in list(self._models.items()):
            if need + sum(each.weight_bytes for each in self._all()) <= self._budget:
                return
            if not model.readers:
                del self._models[path]
                logger.info("unloaded the generator %s", path)


async def answer_generate(
    generations: Generations,
    request: GenerateRequest,
    *,
    timeout: float | None,
    send: Callable[[dict[str, Any]], Awaitable[None]],
    receive: Callable[[], Awaitable[Any]],
) -> None:
    """Send the reply as an ASGI answer of one JSON object a line, until it is done or the caller has gone.

    Raises InferenceError for what fails before the first piece; nothing has been sent then.
    """
    pieces = generations.generate(request, timeout=timeout)
    hang_up = asyncio.ensure_future(receive())
    begun = False
    try:
        while True:
            coming = asyncio.ensure_future(anext(pieces, None))
            await asyncio.wait({coming, hang_up}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
                return
            try:
                piece = coming.result()
            except InferenceError as error:
                if not begun:
                    raise
                await _send_line(
                    send, {"error": {"code": error.code, "message": str(error)}}, more=True
                )
                piece = None
            if not begun:
                headers = [
                    (b"content-type", b"application/x-ndjson"),
                    (b"cache-control", b"no-store"),
                ]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                begun = True
            if piece is None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await _send_line(send, piece.to_dict(), more=True)
    finally:
        hang_up.cancel()
        await asyncio.gather(hang_up, return_exceptions=True)
        await pieces.aclose()


async def _send_line(
    send: Callable[[dict[str, Any]], Awaitable[None]], content: dict[str, Any], *, more: bool
) -> None:
    line = json.dumps(content, ensure_ascii=False).encode() + b"\n"
    await send({"type": "http.response.body", "body": line, "more_body": more})
