"""Whatever is sent to /api/openai/v1: no server error, and every error in OpenAI's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "tool"]) | JSON, "content": st.text() | JSON}
)
NAMES = st.sampled_from(["packaged", "nothing", "a/b"]) | JSON
OPTIONS = "stream stream_options n stop seed temperature top_p max_tokens tools response_format logit_bias"
CHAT = st.fixed_dictionaries(
    {"model": NAMES, "messages": st.lists(TURN, max_size=3) | JSON},
    optional=dict.fromkeys(OPTIONS.split(), JSON),
)
# Never a base model's name: nobody computes here.
EMBEDDINGS = st.fixed_dictionaries(
    {"model": st.just("nothing") | JSON, "input": st.text() | st.lists(st.text()) | JSON},
    optional={"encoding_format": JSON, "dimensions": JSON},
)


@pytest.fixture
def api(organisation: Any, make_key: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})


def check(response: Any) -> None:
    assert response.status_code < 500, response.content
    assert response.status_code >= 400
    assert response["Content-Type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert response.status_code != 422


@pytest.mark.parametrize(
    ("path", "bodies"), [("chat/completions", CHAT | JSON), ("embeddings", EMBEDDINGS | JSON)]
)
def test_any_body_is_answered_in_the_one_shape(api, path, bodies) -> None:
    @settings(
        max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(bodies)
    def send(body: Any) -> None:
        url = f"/api/openai/v1/{path}"
        check(api.post(url, json.dumps(body), content_type="application/json"))

    send()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5000, b'{"model": "\\ud800"}'])
def test_what_is_no_json_is_told_so(api, body) -> None:
    check(api.post("/api/openai/v1/embeddings", body, content_type="application/json"))
    check(api.post("/api/openai/v1/chat/completions", body, content_type="text/plain"))


def test_any_path_and_method(api) -> None:
    for path in ("", "models/x", "completions", "chat", "embeddings/", "models/%00", "models/../x"):
        check(api.put(f"/api/openai/v1/{path}"))
        check(api.get(f"/api/openai/v1/{path}x"))
