"""One copy of each model, one queue, one thread that computes.

A call's texts are tokenised, join the line of their model and are computed in batches of like
length; the thread takes the next batch as soon as it is free, so nothing waits for a batch to fill.
Memory is bounded by the length of the queue and the number of loaded models; a full queue refuses
work at once.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

import ml_core
from ml_core.models.predictor import Predictor
from ml_core.registry.artifact import Artifact, ArtifactError
from ml_core.serving.errors import (
    DeadlineExceeded,
    InferenceError,
    InferenceUnavailable,
    ModelNotLoaded,
    Overloaded,
)
from ml_core.serving.metrics import ServingMetrics
from ml_core.serving.protocol import Health, ModelInfo, PredictRequest, PredictResult, Priority
from ml_core.serving.waiting import Answer, WaitingLine, WaitingText

logger = logging.getLogger(__name__)

_WARM_UP = ("Warm up.", "A longer text, so that the first batch finds every buffer allocated. " * 4)


@dataclass(eq=False)
class _Loaded:
    info: ModelInfo
    predictor: Predictor
    line: WaitingLine = field(default_factory=WaitingLine)


class Engine:
    """Serves `Predictor`s to many callers from one asyncio loop; `start` and `close` belong to
    that loop."""

    def __init__(
        self,
        *,
        allowed_root: Path,
        threads: int,
        max_queue: int,
        max_loaded: int,
        device: str = "auto",
    ) -> None:
        self._root = allowed_root.resolve()
        self._max_queue = max_queue
        self._max_loaded = max_loaded
        self._device = device
        self._models: OrderedDict[Path, _Loaded] = OrderedDict()
        self._loading: dict[Path, asyncio.Task[_Loaded]] = {}
        # Models with texts in line; one that was unloaded meanwhile stays here until its line is
        # empty.
        self._busy: set[_Loaded] = set()
        self._depth = 0
        self._arrivals = itertools.count()
        self._seconds_per_text = 0.01
        self._started = time.monotonic()
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._compute = ThreadPoolExecutor(
            1, "compute", initializer=torch.set_num_threads, initargs=(threads,)
        )
        self._encode = ThreadPoolExecutor(1, "encode")
        self._load_models = ThreadPoolExecutor(1, "load")
        self.metrics = ServingMetrics(
            queue_depth=lambda: self._depth, loaded=lambda: len(self._models)
        )

    def start(self) -> None:
        self._loop_task = asyncio.create_task(self._compute_batches())

    async def close(self) -> None:
        """Stop computing. Call when no request is open any more."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        for pool in (self._compute, self._encode, self._load_models):
            pool.shutdown(cancel_futures=True)

    async def predict(
        self,
        requests: Sequence[PredictRequest],
        *,
        timeout: float | None,
        priority: Priority = "interactive",
        organisation: str = "",
    ) -> list[PredictResult]:
        """Answer all requests or raise: Overloaded, ModelNotLoaded, DeadlineExceeded after
        ``timeout`` seconds."""
        arrived = time.monotonic()
        count = sum(len(request.inputs) for request in requests)
        self._admit(count)
        tasks = [asyncio.ensure_future(self._classify_one(request)) for request in requests]
        try:
            async with asyncio.timeout(timeout):
                results = await asyncio.gather(*tasks)
        except TimeoutError:
            self.metrics.errors.labels(model="", code="deadline_exceeded").inc()
            raise DeadlineExceeded(f"not done within {timeout:g} s; the work was dropped") from None
        finally:
            # When one request fails, nobody wants the texts of the others any more.
            for task in tasks:
                task.cancel()
            self._depth -= count
        self.metrics.request_seconds.observe(time.monotonic() - arrived)
        return results

    async def load(self, model: str) -> ModelInfo:
        """Load ``model`` unless the loaded one is the same; a changed one is swapped in whole."""
        path = self._resolve(model)
        present = self._models.get(path)
        if present is not None:
            try:
                on_disk = Artifact.open(path, verify=False)
            except ArtifactError as error:
                raise ModelNotLoaded(str(error), code="model_damaged") from error
            if on_disk.digest == present.info.digest:
                return present.info
        return (await self._load_once(path)).info

    def unload(self, model: str) -> ModelInfo:
        """Forget a model; texts in its line are still answered."""
        loaded = self._models.pop(self._resolve(model), None)
        if loaded is None:
            raise ModelNotLoaded(f"model {model!r} is not loaded", code="model_not_loaded")
        return loaded.info

    def health(self) -> Health:
        return Health(
            status="failed" if self._loop_task is None or self._loop_task.done() else "ok",
            version=ml_core.__version__,
            uptime_seconds=round(time.monotonic() - self._started, 1),
            queue_depth=self._depth,
            max_queue=self._max_queue,
            models=tuple(replace(m.info, waiting=len(m.line)) for m in self._models.values()),
        )

    def _admit(self, count: int) -> None:
        if count > self._max_queue:
            raise InferenceError(
                f"{count:,} texts in one call; at most {self._max_queue:,}", code="too_large"
            )
        if self._loop_task is None or self._loop_task.done():
            raise InferenceUnavailable("the engine has stopped; restart the process")
        if self._depth + count > self._max_queue:
            self.metrics.errors.labels(model="", code="overloaded").inc()
            wait = min(max(1.0, self._depth * self._seconds_per_text), 60.0)
            raise Overloaded(
                f"{self._depth:,} texts are waiting and at most {self._max_queue:,} may",
                retry_after=math.ceil(wait),
            )
        self._depth += count

    async def _classify_one(self, request: PredictRequest) -> PredictResult:
        loaded = await self._get(request.model)
        loop = asyncio.get_running_loop()
        encoded = await loop.run_in_executor(self._encode, loaded.predictor.encode, request.inputs)
        answer = Answer(len(encoded), len(loaded.predictor.labels))
        for place, token_ids in enumerate(encoded):
            loaded.line.add(WaitingText(token_ids, next(self._arrivals), place, answer))
        self._busy.add(loaded)
        self._wake.set()
        rows = loaded.predictor.guided(np.asarray(await answer.future), request.inputs)
        self.metrics.texts.labels(model=loaded.info.model).inc(len(encoded))
        return PredictResult(
            model=request.model,
            digest=loaded.info.digest,
            task=loaded.info.task,
            outputs=tuple(asdict(loaded.predictor.prediction(row)) for row in rows),
        )

    async def _compute_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._busy:
                self._wake.clear()
                await self._wake.wait()
            loaded = min(self._busy, key=lambda model: model.line.oldest_arrival())
            batch = loaded.line.draw(loaded.predictor.token_budget)
            if not len(loaded.line):
                self._busy.discard(loaded)
            if not batch:
                continue
            token_ids = [text.token_ids for text in batch]
            started = time.monotonic()
            try:
                rows = await loop.run_in_executor(
                    self._compute, loaded.predictor.forward, token_ids
                )
            except Exception as error:
                # The callers get it; the engine must go on for everybody else.
                logger.exception("a batch of %s failed", loaded.info.model)
                self.metrics.errors.labels(model=loaded.info.model, code="internal_error").inc()
                for text in batch:
                    text.answer.fail(InferenceError(f"the model failed: {error}"))
                continue
            self._count(token_ids, time.monotonic() - started)
            self._deliver(batch, rows)

    @staticmethod
    def _deliver(batch: list[WaitingText], rows: np.ndarray) -> None:
        for text, row in zip(batch, rows, strict=True):
            text.answer.deliver(text.place, row)

    def _count(self, token_ids: list[list[int]], seconds: float) -> None:
        real = sum(len(ids) for ids in token_ids)
        padded = max(len(ids) for ids in token_ids) * len(token_ids)
        self.metrics.tokens.labels(kind="real").inc(real)
        self.metrics.tokens.labels(kind="padding").inc(padded - real)
        self.metrics.batch_texts.observe(len(token_ids))
        self.metrics.batch_seconds.observe(seconds)
        self._seconds_per_text += 0.1 * (seconds / len(token_ids) - self._seconds_per_text)

    async def _get(self, model: str) -> _Loaded:
        path = self._resolve(model)
        loaded = self._models.get(path)
        if loaded is None:
            return await self._load_once(path)
        self._models.move_to_end(path)
        return loaded

    async def _load_once(self, path: Path) -> _Loaded:
        """Load the model at ``path``; callers that ask for the same one meanwhile share the
        load, and one of them giving up does not stop it."""
        task = self._loading.get(path)
        if task is None:
            task = asyncio.create_task(self._load(path))
            self._loading[path] = task
            task.add_done_callback(lambda _: self._loading.pop(path, None))
        return await asyncio.shield(task)

    async def _load(self, path: Path) -> _Loaded:
        loop = asyncio.get_running_loop()
        if not path.is_dir():
            raise ModelNotLoaded(f"{path}: no such model", code="model_not_found")
        try:
            artifact = await loop.run_in_executor(self._load_models, Artifact.open, path)
            predictor = await loop.run_in_executor(
                self._load_models, lambda: Predictor.load(artifact, device=self._device)
            )
        except ArtifactError as error:
            self.metrics.errors.labels(model=str(path), code="model_damaged").inc()
            raise ModelNotLoaded(str(error), code="model_damaged") from error
        await loop.run_in_executor(self._compute, predictor.forward, predictor.encode(_WARM_UP))
        manifest = artifact.manifest
        loaded = _Loaded(
            ModelInfo(
                model=str(path),
                digest=artifact.digest,
                task=manifest.task,
                labels=manifest.labels,
                languages=manifest.languages,
                max_length=manifest.max_length,
                size_bytes=artifact.size_bytes,
            ),
            predictor,
        )
        self._models[path] = loaded
        self._models.move_to_end(path)
        while len(self._models) > self._max_loaded:
            _, oldest = self._models.popitem(last=False)
            logger.info("unloaded %s, the least recently used", oldest.info.model)
        return loaded

    def _resolve(self, model: str) -> Path:
        """The real path of ``model``; never outside the allowed root, whatever ``..`` or link is
        in it."""
        path = (self._root / model).resolve()
        if not path.is_relative_to(self._root):
            raise ModelNotLoaded(
                f"model {model!r} is not below the allowed root", code="model_not_allowed"
            )
        return path
