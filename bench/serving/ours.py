"""Our engine and our inference process as the bench starts and asks them. Results are never kept for a second asking:
the cache would answer the repeats."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import numpy as np

from bench.serving.load import Target
from bench.serving.processes import seconds_until_ready, start, stop
from ml_core.serving import InferenceClient, PredictRequest
from rootstock.config.embedded import var_directory

if TYPE_CHECKING:
    from ml_core.serving.engine import Engine

PACKAGED = "base:packaged"
# Texts of one call of a bulk client, and calls under way at once.
CALL, CALLS = 512, 2
_TIMEOUT = 300.0
_READY_SECONDS = 300.0


def onnx_cache() -> Path:
    """Where exports and calibrations are kept between runs."""
    return var_directory() / "bench" / "serving" / "onnx"


async def start_engine(threads: int, backend: str, root: Path | None = None) -> Engine:
    """An engine with one base or the models below ``root``."""
    from ml_core.serving.engine import Engine

    engine = Engine(
        allowed_root=root or var_directory(),
        threads=threads,
        cache_bytes=0,
        backend=backend,
        exports=onnx_cache(),
        device="cpu",
    )
    engine.start()
    return engine


async def embed(engine: Engine, texts: Sequence[str]) -> np.ndarray:
    """(texts, hidden) float32, all in one call."""
    from ml_core.serving.protocol import read_vectors

    [result] = await engine.predict([PredictRequest(PACKAGED, texts)], timeout=_TIMEOUT)
    return read_vectors(result.outputs)


def tokens(metrics: str) -> tuple[int, int]:
    """(real, with padding): tokens computed so far by the Prometheus text."""
    found = {
        kind: int(float(value))
        for kind, value in re.findall(
            r'^rootstock_inference_tokens_total\{kind="(\w+)"\} (\S+)', metrics, re.MULTILINE
        )
    }
    return found.get("real", 0), found.get("real", 0) + found.get("padding", 0)


class Server:
    """`python -m ml_core serve` at a Unix socket in ``folder``."""

    def __init__(
        self,
        folder: Path,
        *,
        threads: int,
        root: Path | None = None,
        backend: str = "auto",
        max_wait: float | None = None,
    ) -> None:
        self._socket = folder / "i.sock"
        self._log = folder / "inference.log"
        self._threads = threads
        self.address = f"unix://{self._socket}"
        self.process_id = 0
        self.start_seconds = 0.0
        self._command = [
            sys.executable, "-m", "ml_core", "serve",
            "--address", self.address,
            "--allowed-root", str(root or var_directory()),
            "--threads", str(threads),
            "--device", "cpu",
            "--backend", backend,
            "--cache", str(onnx_cache()),
            "--cache-mb", "0",
            *([] if max_wait is None else ["--max-wait", str(max_wait)]),
        ]  # fmt: skip

    @contextmanager
    def running(self, model: str = PACKAGED) -> Iterator[Self]:
        """Start the process and wait until it has answered a text with ``model``."""
        process = start(self._command, self._log, self._threads)
        self.process_id = process.pid
        try:
            self.start_seconds = seconds_until_ready(
                process, self._log, lambda: self._answers(model), _READY_SECONDS
            )
            yield self
        finally:
            stop(process)

    def target(self, model: str = PACKAGED) -> Target:
        """Asks ``model`` for one text."""
        return Target(self.address, "/v1/predict", lambda text: _body(model, text))

    def metrics(self) -> str:
        """The Prometheus text."""
        transport = httpx.HTTPTransport(uds=str(self._socket))
        with httpx.Client(transport=transport, base_url="http://inference") as client:
            return client.get("/metrics").raise_for_status().text

    def client(self) -> InferenceClient:
        return InferenceClient(self.address, timeout=_TIMEOUT, retries=0)

    def _answers(self, model: str) -> bool:
        if not self._socket.exists():
            return False
        with self.client() as client:
            client.predict([PredictRequest(model, ["Are you there?"])])
        return True


class BulkClient:
    """Embeds many texts in calls of a size, a few under way at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client()
        self._calls = ThreadPoolExecutor(CALLS)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, hidden) float32."""
        parts = [texts[at : at + CALL] for at in range(0, len(texts), CALL)]
        found = self._calls.map(lambda part: self._client.embed(PACKAGED, part), parts)
        return np.concatenate(list(found))

    def tokens(self) -> tuple[int, int]:
        """See `tokens`."""
        return tokens(self._server.metrics())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.shutdown()
        self._client.close()


def _body(model: str, text: str) -> bytes:
    body: dict[str, Any] = {"requests": [{"model": model, "inputs": [text]}]}
    return json.dumps(body).encode()
