"""The systems that turn texts into vectors, each in a process of its own that waits for its turn.

`python -m bench.serving.systems NAME THREADS` says when it is ready, then reads a line of JSON a turn, {"texts": FILE,
"vectors": FILE or null}, and answers with a line {"seconds", "real", "padded"}: how long the texts took, and the tokens
that were computed, without and with padding (since the process began).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from bench.serving import ours, plain
from bench.serving.processes import environment, stop
from ml_core.models import resolve_base
from ml_core.models.bases import PACKAGED
from rootstock.launch.bootstrap import ROOT

SENTENCE_TRANSFORMERS = "sentence-transformers, fp32"
PLAIN = "ONNX Runtime int8, 32 as they come"
IN_PROCESS = "Rootstock, in process"
SOCKET = "Rootstock, through the socket"
OURS_FP32 = "Rootstock, in process, torch fp32"
_START_SECONDS = 300.0


@dataclass(frozen=True)
class Embedder:
    """``embed`` makes vectors (texts, hidden); ``tokens`` says (real, with padding) since the beginning."""

    embed: Callable[[Sequence[str]], np.ndarray]
    tokens: Callable[[], tuple[int, int]]


@contextmanager
def sentence_transformers(threads: int) -> Iterator[Embedder]:
    """`encode` with its defaults: batches of 32, sorted by length."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(resolve_base(PACKAGED)), device="cpu")
    model.max_seq_length = plain.MAX_LENGTH
    real = padded = 0

    def count(_: Any, inputs: tuple[Any, ...]) -> None:
        nonlocal real, padded
        mask = inputs[0]["attention_mask"]
        real += int(mask.sum())
        padded += mask.numel()

    model[0].register_forward_pre_hook(count)

    def embed(texts: Sequence[str]) -> np.ndarray:
        found: np.ndarray = model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return found

    yield Embedder(embed, lambda: (real, padded))


@contextmanager
def plain_onnx(threads: int) -> Iterator[Embedder]:
    """Batches of 32 in the order in which the texts come."""
    model = plain.PlainOnnx(*plain.files(), threads)

    def embed(texts: Sequence[str]) -> np.ndarray:
        starts = range(0, len(texts), plain.BATCH)
        return np.concatenate([model.embed(texts[at : at + plain.BATCH]) for at in starts])

    yield Embedder(embed, lambda: (model.real, model.padded))


@contextmanager
def in_process(threads: int, backend: str = "auto") -> Iterator[Embedder]:
    """Our engine, asked for all texts in one call."""
    with asyncio.Runner() as runner:
        engine = runner.run(ours.start_engine(threads, backend))

        def embed(texts: Sequence[str]) -> np.ndarray:
            return runner.run(ours.embed(engine, texts))

        yield Embedder(embed, lambda: ours.tokens(engine.metrics.render().decode()))
        runner.run(engine.close())


@contextmanager
def through_socket(threads: int) -> Iterator[Embedder]:
    """Our inference process and its client, which sends calls of `ours.CALL` texts, a few at a time."""
    with tempfile.TemporaryDirectory(prefix="rootstock-serving-") as folder:
        server = ours.Server(Path(folder), threads=threads)
        with server.running(), ours.BulkClient(server) as client:
            yield Embedder(client.embed, client.tokens)


SYSTEMS: dict[str, Callable[[int], Any]] = {
    SENTENCE_TRANSFORMERS: sentence_transformers,
    PLAIN: plain_onnx,
    OURS_FP32: lambda threads: in_process(threads, "torch"),
    IN_PROCESS: in_process,
    SOCKET: through_socket,
}


def main() -> None:
    """Answer turns until standard input ends."""
    # Libraries print; the answers must stay alone on their line.
    answers, sys.stdout = sys.stdout, sys.stderr
    with SYSTEMS[sys.argv[1]](int(sys.argv[2])) as system:
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in sys.stdin:
            turn = json.loads(line)
            texts = json.loads(Path(turn["texts"]).read_text())
            started = time.perf_counter()
            vectors = system.embed(texts)
            seconds = time.perf_counter() - started
            if turn["vectors"]:
                np.save(turn["vectors"], vectors)
            real, padded = system.tokens()
            answer = {"seconds": seconds, "real": real, "padded": padded}
            print(json.dumps(answer), file=answers, flush=True)


class Turns:
    """A system's process, from the side of the bench."""

    def __init__(self, name: str, threads: int, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._log = folder / f"{_slug(name)}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.serving.systems", name, str(threads)],
                cwd=ROOT,
                env=environment(threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                text=True,
            )
        self._asked = cast("IO[str]", self._process.stdin)
        self._answered = cast("IO[str]", self._process.stdout)
        self._read()

    def take(self, texts: Sequence[str]) -> dict[str, float]:
        """The answer for ``texts``; the vectors are read with `vectors`."""
        file = self._folder / "texts.json"
        file.write_text(json.dumps(list(texts)))
        turn = {"texts": str(file), "vectors": str(self._file)}
        self._asked.write(json.dumps(turn) + "\n")
        self._asked.flush()
        return self._read()

    @property
    def vectors(self) -> np.ndarray:
        """Those of the last turn."""
        found: np.ndarray = np.load(self._file)
        return found

    @property
    def _file(self) -> Path:
        return self._folder / f"{_slug(self.name)}.npy"

    def close(self) -> None:
        stop(self._process)

    def _read(self) -> dict[str, float]:
        line = self._answered.readline()
        if not line:
            tail = self._log.read_text(errors="replace").strip().splitlines()[-3:]
            raise RuntimeError(f"{self.name} ended: {' | '.join(tail)}")
        answer: dict[str, float] = json.loads(line)
        return answer


@contextmanager
def all_waiting(names: Sequence[str], threads: int) -> Iterator[list[Turns]]:
    """The systems' processes, started one after the other, all stopped in the end."""
    with tempfile.TemporaryDirectory(prefix="rootstock-serving-") as folder, ExitStack() as stack:
        yield [stack.enter_context(closing(Turns(name, threads, Path(folder)))) for name in names]


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


if __name__ == "__main__":
    main()
