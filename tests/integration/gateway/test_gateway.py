"""Asking models from outside: OpenAI's wire format, predictions by deployment, who may, and what errors look like."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import numpy as np
import pytest
from django.test import Client

from ml_core.models import Prediction
from ml_core.serving import ModelNotLoaded, Overloaded, Piece
from rootstock.common.actors import SYSTEM
from rootstock.gateway import services
from rootstock.gateway.models import Connection
from rootstock.modelhub import inference as hub
from rootstock.modelhub.models import Deployment, ModelVersion
from rootstock.modelhub.models import Prediction as LoggedPrediction
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from tests.openai_server import KEY, OpenAiServer, openai_server

API = "/api/openai/v1"
TURNS = [{"role": "user", "content": "你好 world"}]


@pytest.fixture
def remote(settings: Any) -> Iterator[OpenAiServer]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.0/8"
    with openai_server() as server:
        yield server


def connect(organisation: Any, server: OpenAiServer, **fields: Any) -> Connection:
    with organisation_scope(organisation.pk):
        return services.connection_create(
            **{"name": "vllm", "base_url": server.url, "api_key": KEY, "actor": SYSTEM} | fields
        )


def deploy(organisation: Any, name: str, task: str, **fields: Any) -> Deployment:
    with organisation_scope(organisation.pk):
        version = ModelVersion.objects.create(
            name=name, number=1, task=task, labels=["bad", "good"], languages=["en"], base="packaged",
            artifact_path=f"{organisation.pk}/x", digest="d", size_bytes=1, actor_kind="system",
            actor_id="", actor_label="test", **fields,
        )  # fmt: skip
        return Deployment.objects.create(name=name, task=task, version=version)


@pytest.fixture
def api(organisation: Any, make_key: Any) -> Any:
    """A client with a key that may ask models and nothing else."""
    return as_client(make_key(organisation, ["models:predict"]))


def as_client(key: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {key}"})


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def error_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]


def events_of(response: Any) -> list[Any]:
    assert response["Content-Type"] == "text/event-stream"
    lines = b"".join(response).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


# --- chat completions -------------------------------------------------------------------------------


def test_a_chat_completion_of_a_connection(live_db, api, organisation, remote) -> None:
    connect(organisation, remote)
    asked = {"model": "vllm/echo", "messages": TURNS, "max_tokens": 7, "stop": ["x"], "user": "u1"}
    body = post(api, f"{API}/chat/completions", asked).json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "vllm/echo"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "dlrow 好你"}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    assert remote.seen[-1]["body"]["max_tokens"] == 7
    assert remote.seen[-1]["body"]["model"] == "echo"


def test_a_streamed_chat_completion(live_db, api, organisation, remote) -> None:
    connect(organisation, remote)
    asked = {"model": "vllm/echo", "messages": TURNS, "stream": True}
    events = events_of(post(api, f"{API}/chat/completions", asked))
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    assert len({event["id"] for event in events}) == 1
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "dlrow 好你"
    assert [event["choices"][0]["finish_reason"] for event in events][-2:] == [None, "stop"]
    asked["stream_options"] = {"include_usage": True}
    last = events_of(post(api, f"{API}/chat/completions", asked))[-1]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 8)
    remote.break_off = True
    broken = events_of(post(api, f"{API}/chat/completions", asked))[-1]
    assert broken["error"]["type"] == "server_error"
    assert "broke off" in broken["error"]["message"]


def test_a_deployed_generator_writes(live_db, api, organisation, monkeypatch) -> None:
    deploy(organisation, "help.replies", "text-generation")
    asked: list[Any] = []

    class Writer:
        def __init__(self, *_: Any, **__: Any) -> None: ...
        async def __aenter__(self) -> Writer:
            return self

        async def __aexit__(self, *_: object) -> None: ...
        async def generate(self, model: str, turns: Any, options: Any) -> AsyncGenerator[Piece]:
            asked.append((model, turns, options))
            if turns[-1]["content"] == "full":
                raise Overloaded("64 replies are being written", retry_after=3)
            if turns[-1]["content"] == "gone":
                raise ModelNotLoaded("weights do not fit", code="model_damaged")
            yield Piece("九点")
            yield Piece("开门", "length", 11, 2)

    monkeypatch.setattr("rootstock.gateway.inference.AsyncGenerationClient", Writer)
    body = {"model": "help.replies", "messages": TURNS, "temperature": 0, "seed": 5}
    answer = post(api, f"{API}/chat/completions", body).json()
    assert answer["choices"][0]["message"]["content"] == "九点开门"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 13
    assert (asked[0][2].temperature, asked[0][2].seed) == (0, 5)
    body["messages"] = [{"role": "user", "content": "full"}]
    for stream in (False, True):
        full = post(api, f"{API}/chat/completions", {**body, "stream": stream})
        assert error_of(full, 429)["code"] == "overloaded"
        assert full["Retry-After"] == "3"
    body["messages"] = [{"role": "user", "content": "gone"}]
    assert error_of(post(api, f"{API}/chat/completions", body), 503)["code"] == "model_unusable"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages/0/role"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages/0/content",
        ),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"temperature": 3}, "temperature"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_a_faulty_chat_request_is_told_where(db, api, change, param) -> None:
    body = {"model": "vllm/echo", "messages": TURNS, **change}
    error = error_of(post(api, f"{API}/chat/completions", body), 400)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


# --- embeddings -------------------------------------------------------------------------------------


def test_embeddings_of_a_connection_in_either_encoding(live_db, api, organisation, remote) -> None:
    connect(organisation, remote)
    asked = {"model": "vllm/echo", "input": ["a", "abc"]}
    body = post(api, f"{API}/embeddings", asked).json()
    assert [row["embedding"] for row in body["data"]] == [[1, 1, 0, -2], [3, 1, 0, -2]]
    assert [row["index"] for row in body["data"]] == [0, 1]
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    packed = post(api, f"{API}/embeddings", {**asked, "encoding_format": "base64"}).json()
    assert struct.unpack("<4f", base64.b64decode(packed["data"][1]["embedding"])) == (3, 1, 0, -2)


def test_embeddings_of_a_base_model(live_db, api, monkeypatch) -> None:
    def vectors(path: str, texts: list[str]) -> tuple[str, np.ndarray]:
        assert path == "base:packaged"
        return "digest", np.array([[0.6, 0.0, 0.8]] * len(texts), dtype=np.float32)

    monkeypatch.setattr(hub, "embed_by_model", vectors)
    asked = {"model": "packaged", "input": "a shop that opens early", "dimensions": 2}
    body = post(api, f"{API}/embeddings", asked).json()
    assert body["data"][0]["embedding"] == [1.0, 0.0]
    assert body["usage"]["prompt_tokens"] == 7  # five words, [CLS] and [SEP]
    error = error_of(post(api, f"{API}/embeddings", {**asked, "dimensions": 4}), 400)
    assert (error["param"], "3 dimensions" in error["message"]) == ("dimensions", True)
    for wrong in ([], [1, 2], [[1, 2]], "", ["x"] * 2049):
        assert (
            error_of(post(api, f"{API}/embeddings", {**asked, "input": wrong}), 400)["param"]
            == "input"
        )


# --- who may, and what there is ---------------------------------------------------------------------


@pytest.mark.usefixtures("live_db")
def test_models_are_those_of_the_organisation(
    api, organisation, organisation_b, make_key, remote
) -> None:
    deploy(organisation, "help.replies", "text-generation")
    deploy(organisation, "finance.sentiment", "text-classification")
    connection = connect(organisation, remote)
    with organisation_scope(organisation.pk):
        services.connection_note_check(connection=connection, offered=["echo", "org/large"])
    ids = {model["id"] for model in api.get(f"{API}/models").json()["data"]}
    assert {"help.replies", "packaged", "vllm/echo", "vllm/org/large"} <= ids
    assert "finance.sentiment" not in ids
    assert api.get(f"{API}/models/vllm/org/large").json()["owned_by"] == "vllm"
    other = as_client(make_key(organisation_b, ["models:predict"]))
    assert not {"help.replies", "vllm/echo"} & {
        m["id"] for m in other.get(f"{API}/models").json()["data"]
    }
    for name in ("help.replies", "vllm/echo"):
        body = {"model": name, "messages": TURNS}
        error = error_of(post(other, f"{API}/chat/completions", body), 404)
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert error_of(other.get(f"{API}/models/{name}"), 404)
    assert (
        post(other, "/api/v1/predictions", {"model": "help.replies", "inputs": ["x"]}).status_code
        == 404
    )
    assert not remote.seen


def test_wrong_keys_scopes_and_tasks(live_db, client, api, organisation, make_key) -> None:
    deploy(organisation, "finance.sentiment", "text-classification")
    wrong = as_client("rk_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbb")
    body = {"model": "finance.sentiment", "messages": TURNS}
    for caller in (client, wrong):
        error = error_of(post(caller, f"{API}/chat/completions", body), 401)
        assert error["type"] == "authentication_error"
    reader = as_client(make_key(organisation, ["models:read", "models:write"]))
    assert "models:predict" in error_of(reader.get(f"{API}/models"), 403)["message"]
    assert error_of(post(api, f"{API}/chat/completions", body), 400)["code"] == "wrong_task"
    assert error_of(api.get(f"{API}/nothing"), 404)
    assert error_of(api.get(f"{API}/embeddings"), 405)
    broken = api.post(f"{API}/embeddings", "{", content_type="application/json")
    assert error_of(broken, 400)["code"] == "malformed_json"


def test_requests_are_throttled(live_db, api, settings) -> None:
    settings.ROOTSTOCK_RATE_LIMIT = 2
    answers = [api.get(f"{API}/models") for _ in range(3)]
    error = error_of(answers[2], 429)
    assert error["type"] == "rate_limit_error"
    assert int(answers[2]["Retry-After"]) > 0


def test_a_connection_never_leads_inside(live_db, api, organisation, remote, settings) -> None:
    connect(organisation, remote)
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = ""
    body = {"model": "vllm/echo", "messages": TURNS}
    error = error_of(post(api, f"{API}/chat/completions", body), 502)
    assert "not a public address" in error["message"]
    assert not remote.seen


def test_a_connections_wrong_key_is_not_the_callers(live_db, api, organisation, remote) -> None:
    connect(organisation, remote, api_key="sk-wrong")
    error = error_of(post(api, f"{API}/embeddings", {"model": "vllm/echo", "input": "x"}), 502)
    assert error["code"] == "connection_key"
    assert "sk-wrong" not in error["message"]


# --- predictions ------------------------------------------------------------------------------------


@pytest.fixture
def classifier(organisation: Any, monkeypatch: pytest.MonkeyPatch, artifacts: Any) -> list[Any]:
    deploy(organisation, "finance.sentiment", "text-classification")
    asked: list[Any] = []

    class Hub:
        def classify(self, requests: Any, **_: Any) -> Any:
            from ml_core.serving import ClassifyResult

            asked.extend(text for request in requests for text in request.texts)
            said = Prediction("good", {"bad": 0.25, "good": 0.75})
            return [ClassifyResult(r.model, "d", (said,) * len(r.texts)) for r in requests]

    monkeypatch.setattr(hub, "_client", lambda _: Hub())
    return asked


def test_predictions_are_answered_and_logged_once(live_db, api, organisation, classifier) -> None:
    body = {
        "model": "finance.sentiment",
        "inputs": ["The company reports a strong profit this year", "公司今年利润大幅上涨"],
    }
    first = post(api, "/api/v1/predictions", body, **{"Idempotency-Key": "k1"})
    assert first.status_code == 200, first.content
    answer = first.json()
    assert answer["version"] == "finance.sentiment v1"
    assert answer["outputs"][0]["label"] == "good"
    assert answer["outputs"][0]["probabilities"] == {"bad": 0.25, "good": 0.75}
    assert answer["outputs"][1] == {"unscored": "the model does not read zh"}
    assert post(api, "/api/v1/predictions", body, **{"Idempotency-Key": "k1"}).json() == answer
    assert classifier == body["inputs"][:1]
    with organisation_scope(organisation.pk):
        (row,) = LoggedPrediction.objects.all()
        assert (row.label, row.subject_type) == ("good", "api.prediction")
        assert str(row.subject_id) == answer["outputs"][0]["id"]


def test_predictions_tell_what_is_wrong(live_db, api, organisation, classifier) -> None:
    deploy(organisation, "help.reranker", "reranking")
    for body, status, pointer in (
        ({"model": "nothing", "inputs": ["x"]}, 404, "/model"),
        ({"model": "finance.sentiment", "inputs": []}, 422, "/inputs"),
        ({"model": "finance.sentiment", "inputs": ["x", {"query": "x"}]}, 422, "/inputs/1"),
        ({"model": "finance.sentiment", "inputs": ["x", "  "]}, 422, "/inputs/1"),
        ({"model": "help.reranker", "inputs": ["x"]}, 422, "/inputs/0"),
    ):
        response = post(api, "/api/v1/predictions", body)
        assert response.status_code == status, response.content
        assert response["Content-Type"].startswith("application/problem+json")
        assert response.json()["errors"][0]["pointer"] == pointer


# --- connections ------------------------------------------------------------------------------------


def test_connections_over_rest(live_db, organisation, organisation_b, make_key, remote) -> None:
    client = as_client(make_key(organisation, ["models:read", "models:write"]))
    made = post(client, "/api/v1/connections", {"name": "vllm", "base_url": remote.url + "/"})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["has_key"], body["state"], "api_key" in body) == (False, "new", False)
    path = f"/api/v1/connections/{body['id']}"
    tested = post(client, f"{path}/test", None).json()
    assert (tested["state"], "Incorrect API key" in tested["problem"]) == ("failed", True)
    rotated = client.put(
        f"{path}/key", json.dumps({"api_key": KEY}), content_type="application/json"
    )
    assert rotated.json()["has_key"]
    tested = post(client, f"{path}/test", None).json()
    assert (tested["state"], tested["offered"]) == ("ready", ["echo"])
    assert KEY not in json.dumps(tested)
    with organisation_scope(organisation.pk):
        moved = services.connection_update(
            connection=Connection.objects.get(), actor=SYSTEM, base_url="http://127.0.0.1:9/v1"
        )
        assert not moved.has_key
    for wrong, pointer in (
        ({"name": "vllm", "base_url": remote.url}, "/name"),
        ({"name": "A/b", "base_url": remote.url}, "/name"),
        ({"name": "x", "base_url": "http://10.1.1.1/v1"}, "/base_url"),
    ):
        refused = post(client, "/api/v1/connections", wrong)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == pointer
    other = as_client(make_key(organisation_b))
    assert other.get(path).status_code == 404
    assert post(other, f"{path}/test", None).status_code == 404
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_connection_pages(live_db, client, organisation, make_user, remote) -> None:
    client.force_login(
        make_user(organisation, role=Role.ANALYST), "django.contrib.auth.backends.ModelBackend"
    )
    page = "/models/connections/"
    assert "No connection yet" in client.get(page).content.decode()
    wrong = client.post(
        f"{page}new/", {"name": "x", "base_url": "http://10.0.0.1/", "timeout_seconds": 5}
    )
    assert wrong.status_code == 422
    assert "not a public address" in wrong.content.decode()
    made = client.post(
        f"{page}new/",
        {"name": "vllm", "base_url": remote.url, "api_key": KEY, "timeout_seconds": 5},
    )
    shown = client.get(made.url).content.decode()
    assert "It works. Models on offer: 1." in shown
    assert "vllm/echo" in shown
    assert KEY not in shown
    assert client.post(f"{made.url}key/", {"api_key": "sk-wrong"}).status_code == 302
    assert "Incorrect API key" in client.get(made.url).content.decode()
    client.post(made.url, {"base_url": remote.url, "timeout_seconds": 9})
    assert "vllm" in client.get(page).content.decode()
    client.post(f"{made.url}remove/", {"confirm": "no"})
    assert client.get(made.url).status_code == 200
    client.post(f"{made.url}remove/", {"confirm": "vllm"})
    assert client.get(made.url).status_code == 404
    client.force_login(
        make_user(organisation, role=Role.VIEWER), "django.contrib.auth.backends.ModelBackend"
    )
    assert client.get(page).status_code == 200
    assert client.get(f"{page}new/").status_code == 403
