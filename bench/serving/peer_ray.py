"""Ray Serve hosting what `plain` makes, on a Ray of its own: `python -m bench.serving.peer_ray PORT MODEL TOKENIZER
THREADS FOLDER`. Its recommended settings for throughput are on; it sheds load as ours does, from a queue of its own."""

from __future__ import annotations

import base64
import signal
import sys
from pathlib import Path
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from bench.serving.plain import BATCH, PlainOnnx

_QUEUE = 8192
_UNDER_WAY = 256


class Embedder:
    """{"text"} → {"vector"}, base64 of little-endian float32, as ours."""

    def __init__(self, model: str, tokenizer: str, threads: int) -> None:
        self.model = PlainOnnx(Path(model), Path(tokenizer), threads)

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0.002)
    async def embed(self, texts: list[str]) -> list[str]:
        vectors = self.model.embed(texts)
        return [base64.b64encode(each.astype("<f4").tobytes()).decode() for each in vectors]

    async def __call__(self, request: Request) -> dict[str, str]:
        asked: dict[str, Any] = await request.json()
        return {"vector": await self.embed(asked["text"])}


if __name__ == "__main__":
    port, model, tokenizer, threads, folder = sys.argv[1:6]
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100_000_000,
        log_to_driver=False,
        _temp_dir=folder,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    deployment = serve.deployment(
        max_ongoing_requests=_UNDER_WAY,
        max_queued_requests=_QUEUE,
        ray_actor_options={"num_cpus": 1},
        backpressure_config={"status_code": 429, "retry_after_s": 1},
    )(Embedder)
    serve.run(deployment.bind(model, tokenizer, int(threads)))
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
