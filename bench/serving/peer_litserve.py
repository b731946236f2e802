"""LitServe hosting what `plain` makes: `python -m bench.serving.peer_litserve PORT MODEL TOKENIZER THREADS`."""

import base64
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np

from bench.serving.plain import BATCH, PlainOnnx


class Embedder(litserve.LitAPI):  # type: ignore[misc]  # litserve has no types
    """{"text"} → {"vector"}, base64 of little-endian float32, as ours."""

    def setup(self, device: str) -> None:
        model, tokenizer, threads = sys.argv[2:5]
        self.model = PlainOnnx(Path(model), Path(tokenizer), int(threads))

    # LitServe reads the annotation, and gives the JSON of what is a Request by it.
    def decode_request(self, request: litserve.Request, **_: Any) -> str:
        return str(request["text"])

    def batch(self, inputs: list[str]) -> list[str]:
        return inputs

    def predict(self, inputs: list[str], **_: Any) -> list[np.ndarray]:
        return list(self.model.embed(inputs))

    def unbatch(self, output: list[np.ndarray]) -> list[np.ndarray]:
        return output

    def encode_response(self, output: np.ndarray, **_: Any) -> dict[str, str]:
        return {"vector": base64.b64encode(output.astype("<f4").tobytes()).decode()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Embedder(max_batch_size=BATCH, batch_timeout=0.002), accelerator="cpu", timeout=30
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
