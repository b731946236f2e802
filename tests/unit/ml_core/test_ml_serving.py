"""The inference process: everybody gets their own answer, overload is refused, failure is named."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from ml_core_helpers import REPOSITORY, run_cli
from serving_models import TEXTS, write_models

from ml_core.models import Predictor
from ml_core.models.embedding import EmbeddingPredictor
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
    PredictRequest,
)

TOKEN = "correct horse"
# The first model that torch computes waits for torch to be imported.
PATIENCE = 200


@contextmanager
def inference_process(address: str, root: Path, **flags: object) -> Iterator[subprocess.Popen[str]]:
    arguments = ["--address", address, "--allowed-root", root, "--token-env", "TEST_TOKEN"]
    for name, value in ({"threads": 1, "device": "cpu", "backend": "torch"} | flags).items():
        arguments += [f"--{name.replace('_', '-')}", value]
    process = subprocess.Popen(
        [sys.executable, "-m", "ml_core", "serve", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"TEST_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "ready" in process.stderr.readline()
        # Keep the pipe empty, or a talkative process would stand still; what it says is shown when a test fails.
        threading.Thread(target=sys.stdout.writelines, args=[process.stderr], daemon=True).start()
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def root(artifact: Artifact, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three copies of a trained model, a damaged one, and models of other kinds."""
    root = write_models(tmp_path_factory.mktemp("root"), tiny_base)
    for name in ("one", "two"):
        shutil.rmtree(root / name)
    for name in ("one", "two", "three", "damaged"):
        shutil.copytree(artifact.path, root / name)
    with (root / "damaged" / "model.safetensors").open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"12345678")
    return root


@pytest.fixture(scope="module")
def address(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    address = f"unix://{tmp_path_factory.mktemp('run')}/i.sock"
    with inference_process(address, root, max_queue=400):
        yield address


@pytest.fixture
def client(address: str) -> Iterator[InferenceClient]:
    with InferenceClient(address, token=TOKEN, timeout=PATIENCE, retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def expected(artifact: Artifact) -> dict[str, np.ndarray]:
    rows = Predictor.load(artifact, device="cpu").probabilities(TEXTS)
    return dict(zip(TEXTS, rows, strict=True))


def test_one_call_carries_several_models(
    client: InferenceClient, root: Path, artifact: Artifact, expected: dict[str, np.ndarray]
) -> None:
    results = client.classify(
        [ClassifyRequest("one", TEXTS[:5]), ClassifyRequest(str(root / "two"), TEXTS[5:12])]
    )
    assert [result.model for result in results] == ["one", str(root / "two")]
    assert [len(result.predictions) for result in results] == [5, 7]
    assert {result.digest for result in results} == {artifact.digest}
    predictions = [p for result in results for p in result.predictions]
    for text, prediction in zip(TEXTS, predictions, strict=False):
        found = list(prediction.probabilities.values())
        np.testing.assert_allclose(found, expected[text], atol=1e-5)
        assert prediction.label == artifact.manifest.labels[int(expected[text].argmax())]


def test_typed_answers_of_every_task(client: InferenceClient, root: Path) -> None:
    vectors = client.embed("embedder", TEXTS[:3])
    assert vectors.dtype == np.float32
    expected = EmbeddingPredictor.load(root / "embedder", device="cpu").embed(TEXTS[:3])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert client.embed("base:base", TEXTS[:2], priority="batch").shape == (2, 32)
    entities = client.tag("tagger", TEXTS[:5])
    assert len(entities) == 5
    for text, found in zip(TEXTS, entities, strict=False):
        assert all(each.text == text[each.start : each.end] for each in found)
    scores = client.score_pairs("reranker", [("bank", "a lawsuit"), ("profit", "rises")])
    assert scores.shape == (2,)
    assert ((scores > 0) & (scores < 1)).all()
    requests = [PredictRequest("tagger", TEXTS[:1]), PredictRequest("head-0", TEXTS[:2])]
    results = client.predict(requests, organisation="7", fresh=True)
    assert [result.task for result in results] == ["token-classification", "text-classification"]
    assert 'texts_total{model="' + str(root / "tagger") + '",organisation="7"} 1.0' in metrics(
        client.address
    )
    with pytest.raises(InferenceError, match="at least one input"):
        client.embed("embedder", [])
    with pytest.raises(InferenceError, match="priority must be one of"):
        client.embed("embedder", ["a"], priority="soon")  # type: ignore[typeddict-item]


def test_health_says_who_shares_what(client: InferenceClient) -> None:
    client.classify([ClassifyRequest("head-0", ["bank"]), ClassifyRequest("head-1", ["bank"])])
    health = client.health()
    by_name = {Path(each.model).name: each for each in health.models}
    digest = by_name["head-0"].backbone
    assert by_name["head-1"].backbone == digest
    [shared] = [each for each in health.backbones if each.digest == digest]
    assert {by_name["head-0"].model, by_name["head-1"].model} <= set(shared.models)
    assert shared.backend == by_name["head-0"].backend
    assert 0 < by_name["head-0"].memory_bytes < shared.memory_bytes < health.memory_bytes
    assert health.memory_bytes < health.memory_budget_bytes


def test_many_callers_at_once_get_their_own_answers(
    client: InferenceClient, expected: dict[str, np.ndarray]
) -> None:
    def call(seed: int) -> None:
        generator = random.Random(seed)
        for _ in range(4):
            texts = generator.choices(TEXTS, k=generator.randint(1, 9))
            (result,) = client.classify([ClassifyRequest(generator.choice(["one", "two"]), texts)])
            for text, prediction in zip(texts, result.predictions, strict=True):
                found = list(prediction.probabilities.values())
                np.testing.assert_allclose(found, expected[text], atol=1e-5)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(32)))
    assert client.health().queue_depth == 0


async def test_the_async_client_does_the_same(address: str) -> None:
    async with AsyncInferenceClient(address, token=TOKEN) as client:
        calls = [client.classify([ClassifyRequest("one", [text])]) for text in TEXTS[:20]]
        answers = await asyncio.gather(*calls)
        assert all(len(answer[0].predictions) == 1 for answer in answers)
        info = await client.load("two")
        assert info.languages == ("en",)
        await client.unload("two")
        assert "two" not in {Path(m.model).name for m in (await client.health()).models}
        with pytest.raises(ModelNotLoaded, match="not loaded"):
            await client.unload("two")


def test_a_changed_model_is_swapped_in(client: InferenceClient, root: Path) -> None:
    before = client.load("two")
    assert client.load("two") == before
    changed = json_manifest_with_other_card(root / "two")
    assert client.load("two").digest == changed != before.digest
    (result,) = client.classify([ClassifyRequest("two", ["bank"])])
    assert result.digest == changed


def json_manifest_with_other_card(path: Path) -> str:
    import json

    from ml_core.registry.artifact import sha256_file

    (path / "README.md").write_text("# Another card\n")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"]["README.md"] = sha256_file(path / "README.md")
    (path / "manifest.json").write_text(json.dumps(manifest))
    return Artifact.open(path).digest


BAD_CALLS = {
    "no requests": ([], "bad_request", "at least one"),
    "no texts": ([ClassifyRequest("one", [])], "bad_request", r"requests\[0\]\.inputs"),
    "empty text": ([ClassifyRequest("one", ["a", " "])], "bad_request", r"inputs\[1\] is empty"),
    "not text": ([ClassifyRequest("one", [5])], "bad_request", r"inputs\[0\] is neither"),
    "half a character": ([ClassifyRequest("one", ["\ud800"])], "bad_request", "surrogate"),
    "no model": ([ClassifyRequest("", ["a"])], "bad_request", "needs a model"),
    "outside": ([ClassifyRequest("../../etc", ["a"])], "model_not_allowed", "allowed root"),
    "outside, absolute": ([ClassifyRequest("/etc", ["a"])], "model_not_allowed", "allowed root"),
    "absent": ([ClassifyRequest("four", ["a"])], "model_not_found", "no such model"),
    "damaged": ([ClassifyRequest("damaged", ["a"])], "model_damaged", r"model\.safetensors"),
    "too many": ([ClassifyRequest("one", ["a"] * 401)], "too_large", "at most 400"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_a_bad_call_is_explained_and_the_process_goes_on(
    client: InferenceClient, case: str
) -> None:
    requests, code, problem = BAD_CALLS[case]
    if case == "half a character":
        response = raw(client.address, b'{"requests": [{"model": "one", "inputs": ["\\ud800"]}]}')
        assert response.status_code == 400
        assert problem in response.json()["error"]["message"]
    else:
        with pytest.raises(InferenceError, match=problem) as caught:
            client.classify(requests)
        assert caught.value.code == code
        assert isinstance(caught.value, ModelNotLoaded) == code.startswith("model_")
    assert client.classify([ClassifyRequest("one", ["bank"])])
    assert client.health().queue_depth == 0


def raw(address: str, content: bytes, **headers: str) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=address.removeprefix("unix://"))
    headers = {"authorization": f"Bearer {TOKEN}"} | headers
    with httpx.Client(transport=transport, base_url="http://x", headers=headers) as http:
        return http.post("/v1/predict", content=content)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"requests": 5}', b"\xff", b"[" * 100_000]
)
def test_a_body_that_is_no_request(address: str, content: bytes) -> None:
    response = raw(address, content)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "bad_request"


def test_a_bad_deadline_and_unknown_paths(address: str) -> None:
    body = b'{"requests": [{"model": "one", "inputs": ["a"]}]}'
    assert raw(address, body, **{"x-deadline-ms": "soon"}).status_code == 400
    transport = httpx.HTTPTransport(uds=address.removeprefix("unix://"))
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(transport=transport, base_url="http://x", headers=headers) as http:
        assert http.get("/nothing").status_code == 404
        assert http.get("/v1/predict").status_code == 405


def test_only_the_right_token_gets_in(address: str) -> None:
    for token in (None, "wrong", TOKEN + "x", "ünï"):
        with InferenceClient(address, token=token) as client:
            with pytest.raises(InferenceError) as caught:
                client.classify([ClassifyRequest("one", ["bank"])])
            assert caught.value.code == "unauthorised"
    transport = httpx.HTTPTransport(uds=address.removeprefix("unix://"))
    with httpx.Client(transport=transport, base_url="http://x") as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        assert http.get("/metrics").status_code == 401
        wrong = {"authorization": "Bearer wrong"}
        assert http.get("/healthz", headers=wrong).status_code == 401


def test_a_hundred_thousand_tokens_are_cut(client: InferenceClient) -> None:
    texts = ["profit rises " * 100_000, "x" * 1_000_000]
    (result,) = client.classify([ClassifyRequest("one", texts)])
    assert len(result.predictions) == 2


def metrics(address: str) -> str:
    transport = httpx.HTTPTransport(uds=address.removeprefix("unix://"))
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(transport=transport, base_url="http://x", headers=headers) as http:
        return http.get("/metrics").text


def test_metrics_count_what_happened(client: InferenceClient, address: str) -> None:
    client.classify([ClassifyRequest("one", TEXTS[:3])])
    text = metrics(address)
    for name in (
        'queue_depth{priority="interactive"} 0.0',
        'queue_depth{priority="batch"} 0.0',
        'tokens_total{kind="padding"}',
        'request_seconds_bucket{le="0.001",priority="interactive"}',
        'stage_seconds_count{stage="wait"}',
        'stage_seconds_count{stage="forward"}',
        'cache_total{result="hit"}',
        "batch_fill_bucket",
        "texts_total",
        "model_bytes",
        "memory_bytes",
    ):
        assert f"rootstock_inference_{name}" in text


def test_overload_is_refused_and_what_was_accepted_is_answered(root: Path) -> None:
    """Over TCP, which is served as a Unix socket is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    outcomes: list[str] = []
    with (
        inference_process(address, root, max_queue=60),
        InferenceClient(address, token=TOKEN, timeout=PATIENCE, retries=0) as client,
    ):
        client.load("one")

        def call(number: int) -> None:
            # Long, and no two the same: answers out of the cache would never fill the queue.
            texts = [f"{number} {text} " + text * 40 for text in TEXTS[:30]]
            try:
                (result,) = client.classify([ClassifyRequest("one", texts)])
            except Overloaded as error:
                assert error.retry_after >= 1
                outcomes.append("refused")
            else:
                assert len(result.predictions) == 30
                outcomes.append("answered")

        with ThreadPoolExecutor(24) as pool:
            list(pool.map(call, range(96)))
        assert client.health().queue_depth == 0
        done = run_cli("serve", "--address", address, "--allowed-root", root)
        assert done.returncode == 2
        assert "in use" in done.stderr
    assert set(outcomes) == {"refused", "answered"}
    assert len(outcomes) == 96


def test_a_deadline_drops_the_work(client: InferenceClient, address: str) -> None:
    client.load("one")
    with (
        InferenceClient(address, token=TOKEN, timeout=0.001) as hasty,
        pytest.raises(DeadlineExceeded),
    ):
        hasty.classify(
            [ClassifyRequest("one", [f"{text} {n}" for text in TEXTS for n in range(5)])]
        )
    assert client.classify([ClassifyRequest("one", ["bank"])])
    assert client.health().queue_depth == 0


def test_a_killed_process_is_unavailable_and_a_new_one_takes_over(
    root: Path, tmp_path: Path
) -> None:
    address = f"unix://{tmp_path}/i.sock"
    with InferenceClient(address, token=TOKEN, timeout=PATIENCE) as client:
        with pytest.raises(InferenceUnavailable):
            client.health()
        with inference_process(address, root) as process:
            assert client.classify([ClassifyRequest("one", ["bank"])])
            process.send_signal(signal.SIGKILL)
            process.wait()
            with pytest.raises(InferenceUnavailable, match="does not answer"):
                client.classify([ClassifyRequest("one", ["bank"])])
            assert (tmp_path / "i.sock").exists(), "a killed process leaves its socket"
        # Whoever asks meanwhile and has the time gets an answer from the next one.
        patient = InferenceClient(address, token=TOKEN, timeout=PATIENCE, retries=200)
        with ThreadPoolExecutor(1) as pool, patient:
            answer = pool.submit(patient.classify, [ClassifyRequest("one", ["bank"])])
            with inference_process(address, root):
                assert answer.result(timeout=PATIENCE)
                refuses_a_second(address, root)


def refuses_a_second(address: str, root: Path) -> None:
    done = run_cli("serve", "--address", address, "--allowed-root", root)
    assert done.returncode == 2
    assert "another process is serving here" in done.stderr


def test_sigterm_answers_what_was_accepted(root: Path, tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/i.sock"
    with (
        inference_process(address, root) as process,
        InferenceClient(address, token=TOKEN, timeout=PATIENCE) as client,
    ):
        client.load("one")
        with ThreadPoolExecutor(1) as pool:
            words = " ".join(TEXTS).split()
            texts = [" ".join(random.Random(seed).choices(words, k=30)) for seed in range(500)]
            answer = pool.submit(client.classify, [ClassifyRequest("one", texts)])
            while not client.health().queue_depth:
                time.sleep(0.005)
            process.send_signal(signal.SIGTERM)
            assert len(answer.result(timeout=60)[0].predictions) == len(texts)
        assert process.wait(timeout=30) == 0
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "problem"),
    [("ftp://x", "expected unix"), (f"unix:///{'x' * 120}.sock", "107 bytes"),
     ("http://127.0.0.1", "expected http://host:port"), ("unix:///no/such/dir/a.sock", "No such file")],
)  # fmt: skip
def test_an_address_that_cannot_be_served(root: Path, address: str, problem: str) -> None:
    done = run_cli("serve", "--address", address, "--allowed-root", root)
    assert done.returncode == 2
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
