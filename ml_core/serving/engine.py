"""One copy of each model, one queue, one thread that computes.

A call's inputs are read (tokenised), what was asked before is answered from the cache, the rest joins the line of its
encoder or model and is computed in batches of like length; the thread takes the next batch as soon as it is free, so
nothing waits for a batch to fill. Memory is bounded by the length of the queue and the budgets of models and cache; a
full queue refuses work at once.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import ml_core
from ml_core.serving.backends import AUTO
from ml_core.serving.cache import ResultCache, input_key
from ml_core.serving.errors import (
    DeadlineExceeded,
    InferenceError,
    InferenceUnavailable,
    Overloaded,
)
from ml_core.serving.measured import Measuring, open_backend
from ml_core.serving.memory import Loaded, ModelMemory
from ml_core.serving.metrics import ServingMetrics
from ml_core.serving.protocol import (
    PRIORITIES,
    Health,
    ModelInfo,
    PredictRequest,
    PredictResult,
    Priority,
)
from ml_core.serving.runner import Lane
from ml_core.serving.scheduler import Scheduler
from ml_core.serving.waiting import Answer, Work

logger = logging.getLogger(__name__)

MEBIBYTE = 1024 * 1024
# Works of few characters are done at once: going to another thread would take longer.
_AT_ONCE_CHARACTERS = 4_000
_AT_ONCE_OUTPUTS = 16
# What nobody sits and waits for may fill the queue up to here, so that there is always room for who does.
_BATCH_SHARE = 0.75

T = TypeVar("T")


@dataclass(eq=False)
class _Part:
    """One request of a call: its inputs by key, what is known of them, and the answer that the rest waits for."""

    request: PredictRequest
    loaded: Loaded
    keys: list[bytes]
    outputs: dict[bytes, dict[str, Any]]
    readings: dict[bytes, Any] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    answer: Answer | None = None


class Engine:
    """Serves models to many callers from one asyncio loop; `start` and `close` belong to that loop.

    ``threads`` of one forward pass; at most ``max_queue`` inputs are accepted and unanswered at a time, and with
    ``max_wait`` no interactive call while those before it take more seconds than that; models take at
    most ``memory_bytes``, kept answers ``cache_bytes``; encoders are computed by ``backend`` (see
    `ml_core.serving.backends.load_backend`) on ``device``, with exports kept in ``exports``.
    """

    def __init__(
        self,
        *,
        allowed_root: Path,
        threads: int,
        max_queue: int = 8192,
        max_wait: float | None = None,
        memory_bytes: int = 4096 * MEBIBYTE,
        cache_bytes: int = 64 * MEBIBYTE,
        device: str = "auto",
        backend: str = AUTO,
        exports: Path | None = None,
    ) -> None:
        self._max_queue = max_queue
        self._max_wait = math.inf if max_wait is None else max_wait
        self._depth: dict[Priority, int] = dict.fromkeys(PRIORITIES, 0)
        self._arrivals = itertools.count()
        self._seconds_per_text = 0.01
        self._started = time.monotonic()
        self._scheduler: Scheduler[Lane] = Scheduler()
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self.compute = ThreadPoolExecutor(1, "compute")
        self._reading = ThreadPoolExecutor(1, "read")
        self._loader = ThreadPoolExecutor(1, "load")
        self._cache = ResultCache(cache_bytes)
        self.metrics = ServingMetrics(
            queue_depth=self._depth.__getitem__,
            memory_bytes=lambda: self._memory.bytes,
            cache_bytes=lambda: self._cache.bytes,
        )
        self._measuring: Measuring | None = None
        if backend == AUTO and exports is not None:
            self._measuring = Measuring(device=device, threads=threads, exports=exports)
        self._memory = ModelMemory(
            allowed_root,
            budget_bytes=memory_bytes,
            load=lambda source, kind: open_backend(
                source, kind=kind, device=device, threads=threads, exports=exports
            ),
            measure=None if self._measuring is None else self._measuring.measure,
            kind=backend,
            device=device,
            compute=self.compute,
            loader=self._loader,
            threads=threads,
            on_load=self.metrics.model_loaded,
            on_unload=self.metrics.model_unloaded,
        )

    def start(self) -> None:
        self._loop_task = asyncio.create_task(self._compute_batches())
        self._loop_task.add_done_callback(_say_why)

    async def close(self) -> None:
        """Stop computing. Call when no request is open any more."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        self._memory.close()
        if self._measuring is not None:
            self._measuring.close()
        for pool in (self.compute, self._reading, self._loader):
            pool.shutdown(cancel_futures=True)

    async def predict(
        self,
        requests: Sequence[PredictRequest],
        *,
        timeout: float | None = None,
        priority: Priority = "interactive",
        organisation: str = "",
        fresh: bool = False,
    ) -> list[PredictResult]:
        """Answer all requests or raise: Overloaded, ModelNotLoaded, DeadlineExceeded after ``timeout`` seconds,
        InferenceError "bad_request" for an input of the wrong kind. ``organisation`` is for whom, in the metrics; with
        ``fresh`` nothing is taken from the cache."""
        arrived = time.monotonic()
        count = sum(len(request.inputs) for request in requests)
        try:
            self._admit(count, priority)
        except InferenceError as error:
            self.metrics.error(error.code, organisation=organisation)
            raise
        parts: list[_Part] = []
        try:
            async with asyncio.timeout(timeout):
                for request in requests:
                    loaded = await self._memory.acquire(request.model)
                    parts.append(self._part(request, loaded, fresh=fresh))
                results = await self._answer(parts, priority)
        except TimeoutError:
            self.metrics.error("deadline_exceeded", organisation=organisation)
            raise DeadlineExceeded(f"not done within {timeout:g} s; the work was dropped") from None
        except RuntimeError as error:
            if self._loop_task is None or not self._loop_task.done():
                raise
            # Its threads take no more work: it was closed while this call was open.
            raise InferenceUnavailable("the process is going down") from error
        except InferenceError as error:
            model = parts[-1].loaded.info.model if len(parts) == len(requests) else ""
            self.metrics.error(error.code, model=model, organisation=organisation)
            raise
        finally:
            self._depth[priority] -= count
            for part in parts:
                # When one request fails, nobody wants what the others still wait for.
                if part.answer is not None:
                    part.answer.future.cancel()
                self._memory.done(part.loaded)
        self._count_call(parts, priority, organisation, time.monotonic() - arrived)
        return results

    async def load(self, model: str) -> ModelInfo:
        """Load ``model`` unless the loaded one is the same; a changed one is swapped in whole."""
        return await self._memory.load(model)

    def unload(self, model: str) -> ModelInfo:
        """Forget a model; what waits for it is still answered."""
        return self._memory.unload(model)

    def directory(self, model: str) -> Path:
        """Where a model's files are, for what serves models beside this. Raises ModelNotLoaded outside the root."""
        return Path(self._memory.place(model).directory)

    @property
    def people_wait(self) -> bool:
        """Whether interactive inputs are in line."""
        return self._scheduler.waits(PRIORITIES[0])

    def health(self) -> Health:
        return Health(
            status="failed" if self._loop_task is None or self._loop_task.done() else "ok",
            version=ml_core.__version__,
            uptime_seconds=round(time.monotonic() - self._started, 1),
            queue_depth=sum(self._depth.values()),
            max_queue=self._max_queue,
            models=tuple(self._memory.infos()),
            backbones=tuple(self._memory.backbones()),
            memory_bytes=self._memory.bytes,
            memory_budget_bytes=self._memory.budget_bytes,
            cache_bytes=self._cache.bytes,
        )

    def _admit(self, count: int, priority: Priority) -> None:
        most = self._max_queue
        if priority != PRIORITIES[0]:
            most = max(1, math.floor(most * _BATCH_SHARE))
        if count > most:
            raise InferenceError(
                f"{count:,} inputs in one call; at most {most:,}", code="too_large"
            )
        if self._loop_task is None or self._loop_task.done():
            raise InferenceUnavailable("the engine has stopped; restart the process")
        depth = sum(self._depth.values())
        if depth + count > most:
            problem = f"{depth:,} inputs are waiting and at most {most:,} may"
        elif priority == PRIORITIES[0] and self._queue_seconds(priority) > self._max_wait:
            problem = f"what waits takes {self._queue_seconds(priority):.1f} s and may take {self._max_wait:g} s"
        else:
            self._depth[priority] += count
            return
        wait = min(max(1.0, depth * self._seconds_per_text), 60.0)
        raise Overloaded(problem, retry_after=math.ceil(wait))

    def _queue_seconds(self, priority: Priority) -> float:
        """About how long what was accepted with this priority takes; others' work comes between."""
        return self._depth[priority] * self._seconds_per_text

    def _part(self, request: PredictRequest, loaded: Loaded, *, fresh: bool) -> _Part:
        keys = [input_key(given) for given in request.inputs]
        outputs = {}
        for key in set() if fresh else set(keys):
            kept = self._cache.get(loaded.info.digest, key)
            if kept is not None:
                outputs[key] = kept
        hits = sum(key in outputs for key in keys) if outputs else 0
        self.metrics.cache_hits.inc(hits)
        self.metrics.cache_misses.inc(len(keys) - hits)
        return _Part(request, loaded, keys, outputs)

    async def _answer(self, parts: Sequence[_Part], priority: Priority) -> list[PredictResult]:
        await self._read(parts)
        for part in parts:
            self._queue(part, priority)
        results = []
        for part in parts:
            if part.answer is not None:
                await self._finish(part, await part.answer.future)
            info = part.loaded.info
            outputs = tuple(part.outputs[key] for key in part.keys)
            results.append(PredictResult(part.request.model, info.digest, info.task, outputs))
        return results

    async def _read(self, parts: Sequence[_Part]) -> None:
        """Make readings of what is not known; a text that several models read alike is read once."""
        asked: dict[Any, dict[bytes, Any]] = {}
        for part in parts:
            missing = asked.setdefault(part.loaded.runner.read, {})
            for key, given in zip(part.keys, part.request.inputs, strict=True):
                if key not in part.outputs:
                    missing[key] = given
        started = time.monotonic()
        for read, missing in asked.items():
            if not missing:
                continue
            inputs = list(missing.values())
            length = sum(len(given) if isinstance(given, str) else 500 for given in inputs)
            readings = await self._aside(length <= _AT_ONCE_CHARACTERS, lambda: read(inputs))  # noqa: B023
            found = dict(zip(missing, readings, strict=True))
            for part in parts:
                if part.loaded.runner.read == read:
                    part.readings = {k: found[k] for k in part.keys if k not in part.outputs}
        self.metrics.tokenise_seconds.observe(time.monotonic() - started)

    def _queue(self, part: _Part, priority: Priority) -> None:
        """Put the pieces of what is not known in line."""
        if not part.readings:
            return
        runner = part.loaded.runner
        pieces = [runner.pieces(reading) for reading in part.readings.values()]
        part.counts = [len(each) for each in pieces]
        part.answer = Answer(sum(part.counts))
        now = time.monotonic()
        for place, piece in enumerate(itertools.chain.from_iterable(pieces)):
            runner.lane.line.add(
                piece,
                part.answer,
                place,
                arrival=next(self._arrivals),
                since=now,
                priority=priority,
            )
        if part.answer.found:
            self._scheduler.add(runner.lane)
            self._wake.set()

    async def _finish(self, part: _Part, found: list[Any]) -> None:
        """Make outputs of what was found, and keep them."""
        started = time.monotonic()
        ends = list(itertools.accumulate(part.counts))
        grouped = [found[end - count : end] for end, count in zip(ends, part.counts, strict=True)]
        readings = list(part.readings.values())
        outputs = await self._aside(
            len(readings) <= _AT_ONCE_OUTPUTS,
            lambda: part.loaded.runner.finish(readings, grouped),
        )
        for key, output in zip(part.readings, outputs, strict=True):
            part.outputs[key] = output
            self._cache.put(part.loaded.info.digest, key, output)
        self.metrics.head_seconds.observe(time.monotonic() - started)

    async def _compute_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            drawn = self._scheduler.next()
            if drawn is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            lane, batch = drawn
            started = time.monotonic()
            found = await loop.run_in_executor(self.compute, _compute, lane, batch)
            self._count_batch(lane, batch, started, time.monotonic())
            for work, each in zip(batch, found, strict=True):
                lane.line.done(work, each)

    async def _aside(self, at_once: bool, work: Callable[[], T]) -> T:
        if at_once:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    def _count_batch(self, lane: Lane, batch: Sequence[Work], started: float, now: float) -> None:
        lengths = [work.piece.length for work in batch]
        real, padded = sum(lengths), max(lengths) * len(lengths)
        metrics = self.metrics
        metrics.real_tokens.inc(real)
        metrics.padding_tokens.inc(padded - real)
        metrics.batch_texts.observe(len(batch))
        metrics.batch_fill.observe(min(1.0, real / lane.budget))
        metrics.forward_seconds.observe(now - started)
        for work in batch:
            metrics.wait_seconds.observe(started - work.since)
        self._seconds_per_text += 0.1 * ((now - started) / len(batch) - self._seconds_per_text)

    def _count_call(
        self, parts: Sequence[_Part], priority: Priority, organisation: str, seconds: float
    ) -> None:
        self.metrics.request_seconds.labels(priority=priority).observe(seconds)
        name = self.metrics.organisation(organisation)
        for part in parts:
            model = part.loaded.info.model
            self.metrics.texts.labels(model=model, organisation=name).inc(len(part.keys))


def _say_why(task: asyncio.Task[None]) -> None:
    """Log what ended the engine, unless it was closed; from then on its health is "failed"."""
    if not task.cancelled() and task.exception() is not None:
        logger.critical("the engine has stopped", exc_info=task.exception())


def _compute(lane: Lane, batch: Sequence[Work]) -> Sequence[Any]:
    """What was found for each work; an exception for one that failed. When a batch fails its works are tried one by
    one, so that what is wrong with one fails nobody else."""
    try:
        return lane.compute([work.piece for work in batch])
    except Exception as error:
        # The callers get it; the engine must go on for everybody else.
        if len(batch) > 1:
            return [found for work in batch for found in _compute(lane, [work])]
        logger.exception("computing failed")
        return [
            error
            if isinstance(error, InferenceError)
            else InferenceError(f"the model failed: {error}")
        ]
