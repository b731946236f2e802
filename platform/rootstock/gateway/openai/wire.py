"""The bodies of OpenAI's protocol: what is taken, and what is answered."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rest_framework import serializers

from rootstock.common.problems import Problem
from rootstock.gateway.inference import GenerationOptions

MAX_INPUTS = 2048
MAX_CHARACTERS = 100_000
MAX_TURNS = 1000
MAX_NEW_TOKENS = 8192
# What would change the answer, and is not done here: better an error than an answer to something else.
_NOT_DONE: dict[str, list[Any]] = {
    "n": [1], "best_of": [1], "tools": [[]], "functions": [[]], "logprobs": [False], "logit_bias": [{}],
    "frequency_penalty": [0], "presence_penalty": [0], "audio": [], "response_format": [{"type": "text"}],
}  # fmt: skip


class _TextOrParts(serializers.Field[Any, Any, Any, Any]):
    """A turn's content: a text, or parts of which each is a text."""

    def to_internal_value(self, data: Any) -> str:
        """The text."""
        if isinstance(data, list) and data:
            for part in data:
                if not isinstance(part, dict) or part.get("type") != "text":
                    raise serializers.ValidationError("Only parts of type text are taken.")
            data = "".join(str(part.get("text", "")) for part in data)
        if not isinstance(data, str) or not data.strip():
            raise serializers.ValidationError("A text that is not empty is needed.")
        if len(data) > MAX_CHARACTERS:
            raise serializers.ValidationError(f"At most {MAX_CHARACTERS} characters.")
        return data


class TurnInput(serializers.Serializer[Any]):
    """A message of a conversation."""

    role = serializers.ChoiceField(["system", "developer", "user", "assistant"])
    content = _TextOrParts()


class _OneOrMore(serializers.Field[Any, Any, Any, Any]):
    """A text or a list of texts."""

    def __init__(self, *, most: int, longest: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._most = most
        self._longest = longest

    def to_internal_value(self, data: Any) -> list[str]:
        """The texts."""
        texts = [data] if isinstance(data, str) else data
        if not isinstance(texts, list) or not 1 <= len(texts) <= self._most:
            raise serializers.ValidationError(f"A text, or a list of 1 to {self._most} texts.")
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise serializers.ValidationError(
                    f"Item {place} is not a text; lists of token ids are not taken."
                )
            if not 0 < len(text) <= self._longest:
                raise serializers.ValidationError(
                    f"Item {place} has {len(text)} characters; 1 to {self._longest} are taken."
                )
        return texts


class StreamOptionsInput(serializers.Serializer[Any]):
    """What a stream tells besides."""

    include_usage = serializers.BooleanField(default=False)


class ChatInput(serializers.Serializer[Any]):
    """A request for a chat completion."""

    model = serializers.CharField(max_length=300)
    # DRF hands the limits on to the list that `many` makes.
    messages = TurnInput(many=True, allow_empty=False, max_length=MAX_TURNS)  # type: ignore[call-arg]
    stream = serializers.BooleanField(default=False, allow_null=True)
    stream_options = StreamOptionsInput(required=False, allow_null=True)
    max_tokens = serializers.IntegerField(
        min_value=1, max_value=MAX_NEW_TOKENS, required=False, allow_null=True
    )
    max_completion_tokens = serializers.IntegerField(
        min_value=1, max_value=MAX_NEW_TOKENS, required=False, allow_null=True
    )
    temperature = serializers.FloatField(min_value=0, max_value=2, required=False, allow_null=True)
    top_p = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    seed = serializers.IntegerField(
        min_value=-(2**63 - 1), max_value=2**63 - 1, required=False, allow_null=True
    )
    stop = _OneOrMore(most=4, longest=200, required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        """The checked values; what is asked for and not done is refused."""
        for name, harmless in _NOT_DONE.items():
            value = data.get(name) if isinstance(data, dict) else None
            if value is not None and value not in harmless:
                detail = f"{name} is not supported here."
                raise Problem(
                    422, "unsupported", detail, errors=[{"pointer": f"/{name}", "detail": detail}]
                )
        return super().to_internal_value(data)

    def validate_messages(self, turns: list[dict[str, str]]) -> list[dict[str, str]]:
        """Somebody must have said something; "developer" is what newer clients call the system."""
        turns = [
            {**turn, "role": "system" if turn["role"] == "developer" else turn["role"]}
            for turn in turns
        ]
        if all(turn["role"] == "system" for turn in turns):
            raise serializers.ValidationError("A message of the user is needed.")
        if sum(len(turn["content"]) for turn in turns) > 10 * MAX_CHARACTERS:
            raise serializers.ValidationError(f"At most {10 * MAX_CHARACTERS} characters in all.")
        return turns


class EmbeddingsInput(serializers.Serializer[Any]):
    """A request for embeddings."""

    model = serializers.CharField(max_length=300)
    input = _OneOrMore(most=MAX_INPUTS, longest=MAX_CHARACTERS)
    encoding_format = serializers.ChoiceField(["float", "base64"], default="float")
    dimensions = serializers.IntegerField(
        min_value=1, max_value=65536, required=False, allow_null=True
    )


def options_of(data: dict[str, Any]) -> GenerationOptions:
    """The options of a chat request."""
    return GenerationOptions(
        max_new_tokens=data.get("max_completion_tokens") or data.get("max_tokens"),
        temperature=data.get("temperature"),
        # 0 is taken by OpenAI for "the most probable token only".
        top_p=data.get("top_p") or (None if data.get("top_p") is None else 1e-6),
        seed=data.get("seed"),
        stop=tuple(data.get("stop") or ()),
    )


def embeddings_body(
    model: str, vectors: npt.NDArray[np.float32], tokens: int, *, packed: bool
) -> dict[str, Any]:
    """The answer to a request for embeddings; `packed` as base64 of little-endian float32."""
    rows: Sequence[Any] = (
        [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
        if packed
        else vectors.astype(float).tolist()
    )
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": row}
            for place, row in enumerate(rows)
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def usage_body(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """The tokens of a chat completion."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
