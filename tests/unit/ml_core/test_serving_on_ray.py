# ruff: noqa: F401, F811 - fixtures and tests of another file are meant to be ours as well
"""The engine in replicas of Ray Serve: the same answers by the same clients, whatever happens to a replica."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from serving_models import change_card, rehash

# The engine's own tests, run again with the address of this file.
from test_ml_serving import (
    TEXTS,
    TOKEN,
    client,
    expected,
    root,
    test_a_deadline_drops_the_work,
    test_a_hundred_thousand_tokens_are_cut,
    test_many_callers_at_once_get_their_own_answers,
    test_one_call_carries_several_models,
    test_the_async_client_does_the_same,
)

from ml_core.registry import Artifact
from ml_core.serving import (
    AsyncInferenceClient,
    ClassifyRequest,
    DeadlineExceeded,
    InferenceClient,
    InferenceError,
    InferenceUnavailable,
    ModelNotLoaded,
    Overloaded,
)

# Read when Ray is loaded; without a token of ours it would write one into the home directory.
os.environ |= {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "5ecret" * 8,
    "RAY_USAGE_STATS_ENABLED": "0",
}
ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.chaos, pytest.mark.timeout(900)]
_PATIENCE = 200.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A small Ray of our own, without its dashboard; the address of its head."""
    # Its sockets need a short path.
    with tempfile.TemporaryDirectory(prefix="rs-", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=4,
            include_dashboard=False,
            object_store_memory=80_000_000,
            log_to_driver=False,
            _temp_dir=folder,
        )
        try:
            yield f"ray://{ray.get_runtime_context().gcs_address}"
        finally:
            ray.shutdown()


def _deploy(cluster: str, root: Path, **scale: Any) -> None:
    from ml_core.serving.ray_app import Scale, deploy

    options = {
        "allowed_root": root,
        "token": TOKEN,
        "threads": 1,
        "max_queue": 500,
        "max_wait": None,
        "memory_mb": 500,
        "cache_mb": 0,
        "backend": "torch",
        "exports": None,
        "device": "cpu",
    }
    deploy(cluster, options, Scale(**scale))
    # The first call of a replica loads libraries, which takes as long as the machine is busy.
    with InferenceClient(cluster, token=TOKEN, timeout=_PATIENCE) as client:
        for _ in range(4):
            client.classify([ClassifyRequest("one", ["bank"])])


@pytest.fixture(scope="module")
def address(cluster: str, root: Path) -> str:
    """One replica."""
    _deploy(cluster, root, least=1, most=1)
    return cluster


def _until(what: Callable[[], Any], seconds: float = _PATIENCE) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.1)


def _replicas() -> list[psutil.Process]:
    """The processes of the replicas of this machine's Rays that are ours."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "ServeReplica:rootstock-inference" in " ".join(process.info["cmdline"] or ())
    ]


class _Callers:
    """Threads that ask until they are told to stop; each outcome is kept."""

    def __init__(self, address: str, count: int, timeout: float) -> None:
        self._client = InferenceClient(address, token=TOKEN, timeout=timeout, retries=20)
        self._timeout = timeout
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(count)
        self.answers: list[tuple[str, np.ndarray]] = []
        self.errors: list[InferenceError] = []
        self.sent = 0
        self.slowest = 0.0
        self._calls = [self._pool.submit(self._ask, number) for number in range(count)]

    def _ask(self, number: int) -> None:
        while not self._stop.is_set():
            text = TEXTS[number % len(TEXTS)]
            number += 7
            started = time.monotonic()
            self.sent += 1
            try:
                [result] = self._client.classify([ClassifyRequest("one", [text])])
                found = np.array(list(result.predictions[0].probabilities.values()))
                self.answers.append((text, found))
            except (InferenceUnavailable, Overloaded, DeadlineExceeded) as error:
                self.errors.append(error)
            self.slowest = max(self.slowest, time.monotonic() - started)

    def stop(self) -> None:
        """Wait for the last answers; an error that may not be sent again is raised."""
        self._stop.set()
        for call in self._calls:
            call.result(timeout=self._timeout + 30)
        self._pool.shutdown()


def test_what_is_refused_is_refused_by_the_same_words(client: InferenceClient) -> None:
    for requests, code in (
        ([ClassifyRequest("one", ["a", " "])], "bad_request"),
        ([ClassifyRequest("../../etc", ["a"])], "model_not_allowed"),
        ([ClassifyRequest("damaged", ["a"])], "model_damaged"),
        ([ClassifyRequest("one", ["a"] * 501)], "too_large"),
    ):
        with pytest.raises(InferenceError) as caught:
            client.classify(requests)
        assert caught.value.code == code
        assert isinstance(caught.value, ModelNotLoaded) == code.startswith("model_")
    with (
        InferenceClient(client.address, token="wrong") as stranger,
        pytest.raises(InferenceError, match="token"),
    ):
        stranger.health()


def test_a_changed_model_is_swapped_in_and_rolled_back(
    client: InferenceClient, root: Path, artifact: Artifact
) -> None:
    original = (root / "three" / "README.md").read_text()
    assert client.load("three").digest == artifact.digest
    changed = change_card(root / "three")
    assert client.load("three").digest == changed != artifact.digest
    [result] = client.classify([ClassifyRequest("three", ["bank"])])
    assert result.digest == changed
    (root / "three" / "README.md").write_text(original)
    rehash(root / "three", "README.md")
    assert client.load("three").digest == artifact.digest


async def test_a_cancelled_call_drops_its_work(address: str) -> None:
    async with AsyncInferenceClient(address, token=TOKEN) as client:
        call = asyncio.create_task(client.classify([ClassifyRequest("one", TEXTS * 6)]))
        while not (await client.health()).queue_depth:
            assert not call.done()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(30):
            while (await client.health()).queue_depth:
                await asyncio.sleep(0.05)


def test_overload_is_refused_and_what_was_accepted_is_answered(
    client: InferenceClient, expected: dict[str, np.ndarray]
) -> None:
    outcomes: list[str] = []

    def call(_: int) -> None:
        try:
            [result] = client.classify([ClassifyRequest("one", TEXTS)])
        except Overloaded as error:
            assert error.retry_after >= 1
            outcomes.append("refused")
        else:
            assert len(result.predictions) == len(TEXTS)
            outcomes.append("answered")

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(call, range(48)))
    assert set(outcomes) == {"refused", "answered"}
    assert len(outcomes) == 48
    assert client.health().queue_depth == 0


def test_a_killed_replica_loses_no_request_and_is_replaced(
    cluster: str, root: Path, expected: dict[str, np.ndarray]
) -> None:
    _deploy(cluster, root, least=2, most=2, most_calls=8)
    _until(lambda: len(_replicas()) == 2)
    callers = _Callers(cluster, count=8, timeout=_PATIENCE)
    _until(lambda: len(callers.answers) > 50)
    victim = _replicas()[0]
    victim.kill()
    at_kill = len(callers.answers)
    _until(lambda: len(callers.answers) > at_kill + 100)
    _until(lambda: len(_replicas()) == 2 and victim not in _replicas())
    callers.stop()
    assert len(callers.answers) + len(callers.errors) == callers.sent, "one outcome each"
    assert callers.errors == [], "there was time to send them again"
    assert callers.slowest < _PATIENCE
    for text, found in callers.answers:
        np.testing.assert_allclose(found, expected[text], atol=1e-5)


def test_replicas_come_with_the_load_and_go_with_it(cluster: str, root: Path) -> None:
    _deploy(cluster, root, least=1, most=3, target_calls=1.0, up_seconds=1.0, down_seconds=2.0)
    _until(lambda: len(_replicas()) == 1)
    callers = _Callers(cluster, count=9, timeout=_PATIENCE)
    _until(lambda: len(_replicas()) > 1)
    callers.stop()
    _until(lambda: len(_replicas()) == 1)
    assert callers.errors == []
    assert len(callers.answers) == callers.sent


def test_without_an_application_callers_are_told_so(cluster: str) -> None:
    from ray import serve

    from ml_core.serving.ray_transport import APPLICATION

    serve.delete(APPLICATION)
    with (
        InferenceClient(cluster, token=TOKEN, retries=0) as client,
        pytest.raises(InferenceUnavailable, match="no inference application"),
    ):
        client.health()
