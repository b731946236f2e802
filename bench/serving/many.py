"""Many models on one encoder: three heads in one pass, fifty organisations' LoRA classifiers in one batch, and models
that change while they are asked."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Progress, Row
from bench.serving import ours
from bench.serving.load import closed_load
from bench.serving.models import draw, write_classifiers
from bench.serving.processes import memory_mb, pinned
from bench.serving.texts import realistic
from ml_core.registry import Artifact
from ml_core.serving import InferenceClient, PredictRequest, PredictResult

_CLIENTS = 8
_LIVE = "live"


def heads(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The same texts asked of one head and of three in one call."""
    count, turns = configuration["texts"], configuration["turns"]
    texts = realistic(count)
    with pinned() as threads, tempfile.TemporaryDirectory(prefix="rootstock-serving-") as folder:
        root = Path(folder)
        names = write_classifiers(root, "head", 3)
        server = ours.Server(root, threads=threads, root=root, backend=configuration["backend"])
        with server.running(names[0]), server.client() as client:
            calls = {
                size: [PredictRequest(name, texts) for name in names[:size]] for size in (1, 3)
            }
            seconds = _in_turns(client, calls, turns, progress)
    one, three = (statistics.median(seconds[size]) for size in (1, 3))
    return [
        {"what": "one head", "system": _system(configuration), "rate": count / one},
        {
            "what": "three heads, one encoder",
            "system": _system(configuration),
            "rate": count / three,
            "note": f"costs {three / one:.2f} × one head",
            "cost": three / one,
        },
    ]


def adapters(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The same texts asked of one LoRA classifier, and spread over fifty in one call."""
    count, turns, models = (configuration[key] for key in ("texts", "turns", "models"))
    texts = realistic(count)
    with pinned() as threads, tempfile.TemporaryDirectory(prefix="rootstock-serving-") as folder:
        root = Path(folder)
        progress(f"{models} classifiers are written")
        names = write_classifiers(root, "lora", models)
        size = Artifact.open(root / names[0], verify=False).path / "model.safetensors"
        adapter = size.stat().st_size / 1e6
        server = ours.Server(root, threads=threads, root=root, backend=configuration["backend"])
        with server.running(names[0]), server.client() as client:
            one = [PredictRequest(names[0], texts)]
            mixed = [PredictRequest(name, texts[place::models]) for place, name in enumerate(names)]
            client.predict(one)
            before, _ = memory_mb(server.process_id)
            client.predict(mixed)
            after, _ = memory_mb(server.process_id)
            progress("each alone")
            alone = [client.predict([request])[0] for request in mixed]
            difference = _largest_difference(client.predict(mixed), alone)
            seconds = _in_turns(client, {1: one, models: mixed}, turns, progress)
    single, several = (statistics.median(seconds[key]) for key in (1, models))
    return [
        {
            "what": "one LoRA classifier",
            "system": _system(configuration),
            "rate": count / single,
            "memory": before,
        },
        {
            "what": f"{models} LoRA classifiers mixed",
            "system": _system(configuration),
            "rate": count / several,
            "memory": after,
            "share": single / several,
            "difference": difference,
            "note": f"{single / several:.0%} of one's texts/s; {(after - before) / models:.1f} MB each, "
            f"adapter {adapter:.1f} MB; logits differ by {difference:.1e} at most",
        },
    ]


def swap(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """A model replaced by another and rolled back while clients ask it."""
    texts = realistic(1000)
    with pinned() as threads, tempfile.TemporaryDirectory(prefix="rootstock-serving-") as folder:
        root = Path(folder)
        [name] = write_classifiers(root, "lora", 1)
        versions = [Artifact.open(root / name)]
        versions.append(draw(versions[0], root / "candidate", 7))
        _publish(versions[0], root)
        server = ours.Server(root, threads=threads, root=root, backend=configuration["backend"])
        with server.running(_LIVE), server.client() as client:
            done = threading.Event()
            swaps = _Swaps(client, versions, root, done)
            swaps.start()
            load = closed_load(
                server.target(_LIVE), texts, clients=_CLIENTS, seconds=configuration["seconds"]
            )
            done.set()
            swaps.join()
    if swaps.error is not None:
        raise swaps.error
    failed = len(load.answers) - len(load.accepted)
    return [
        {
            "what": f"swapped and rolled back {swaps.count} times",
            "system": _system(configuration),
            "rate": load.rate,
            "p50": load.milliseconds(50),
            "p99": load.milliseconds(99),
            "statuses": load.statuses(),
            "failed": failed,
            "note": f"{failed} of {len(load.answers):,} requests failed",
        }
    ]


class _Swaps(threading.Thread):
    """Puts one version, then the other in the model's place and has it loaded, about twice a second."""

    def __init__(
        self,
        client: InferenceClient,
        versions: Sequence[Artifact],
        root: Path,
        done: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._versions = versions
        self._root = root
        self._done = done
        self.count = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self._done.wait(0.5):
                self.count += 1
                wanted = self._versions[self.count % 2]
                _publish(wanted, self._root)
                found = self._client.load(_LIVE).digest
                if found != wanted.digest:
                    raise RuntimeError("another version was loaded than was put there")
        except Exception as error:  # raised again by the thread that measures
            self.error = error


def _publish(version: Artifact, root: Path) -> None:
    """Make ``version`` the live one, as a directory that is there whole or not at all."""
    new, old = root / f".{_LIVE}.new", root / f".{_LIVE}.old"
    shutil.copytree(version.path, new)
    if (root / _LIVE).exists():
        (root / _LIVE).rename(old)
    new.rename(root / _LIVE)
    shutil.rmtree(old, ignore_errors=True)


def _in_turns(
    client: InferenceClient,
    calls: dict[int, list[PredictRequest]],
    turns: int,
    progress: Progress,
) -> dict[int, list[float]]:
    """Seconds of each call in each turn; the first turn warms up and is not counted."""
    seconds: dict[int, list[float]] = {key: [] for key in calls}
    for turn in range(turns + 1):
        progress(f"turn {turn} of {turns}")
        for key, requests in calls.items():
            taken = _time(lambda asked=requests: client.predict(asked))  # type: ignore[misc]
            if turn:
                seconds[key].append(taken)
    return seconds


def _time(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _largest_difference(mixed: Sequence[PredictResult], alone: Sequence[PredictResult]) -> float:
    """Of the logits, which are the logarithms of the probabilities but for a number that all labels share."""
    return max(
        float(np.abs(_logits(a) - _logits(b)).max()) for a, b in zip(mixed, alone, strict=True)
    )


def _logits(result: PredictResult) -> np.ndarray:
    found = np.log([list(output["probabilities"].values()) for output in result.outputs])
    centred: np.ndarray = found - found.mean(1, keepdims=True)
    return centred


def _system(configuration: dict[str, Any]) -> str:
    return f"Rootstock, {configuration['backend']}"
