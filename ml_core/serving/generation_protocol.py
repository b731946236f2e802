"""What is asked of a model that writes, and the pieces of text that come back. Free of torch.

POST /v1/generate  {"model", "prompt": text | "messages": [{"role", "content"}, …], "max_new_tokens", "temperature",
                    "top_p", "top_k", "repetition_penalty", "seed", "stop": [text, …]}
                   → lines of JSON: {"text": "…"} as often as there is something to read, and last
                     {"text", "done": true, "finish_reason": "stop"|"length", "prompt_tokens", "completion_tokens"},
                     or {"error": {"code", "message"}} when it could not go on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ml_core.serving.errors import InferenceError
from ml_core.serving.protocol import parse_model

ROLES = ("system", "user", "assistant")
MAX_NEW_TOKENS = 8192
MAX_STOPS = 8
_MAX_STOP_LENGTH = 200
_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class GenerationOptions:
    """How a reply is written; None leaves it to what the artefact was trained and saved with.

    ``temperature`` 0 takes the most probable token each time; above 0 tokens are drawn, from the ``top_k`` most
    probable ones and from the smallest set whose probabilities sum to ``top_p``. ``repetition_penalty`` divides the
    logits of tokens that stand there already (CTRL, arXiv:1909.05858). The same ``seed`` draws the same reply.
    Writing ends before the first of the ``stop`` texts.
    """

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class GenerateRequest:
    """The next reply of a conversation, from the artefact at the path ``model``."""

    model: str
    messages: tuple[Mapping[str, str], ...]
    options: GenerationOptions = GenerationOptions()

    def to_dict(self) -> dict[str, Any]:
        """The body of POST /v1/generate."""
        given = {each.name: getattr(self.options, each.name) for each in fields(self.options)}
        given["stop"] = list(self.options.stop) or None
        said = {name: value for name, value in given.items() if value is not None}
        return {"model": self.model, "messages": [dict(turn) for turn in self.messages]} | said


@dataclass(frozen=True)
class Piece:
    """Some more text of a reply. The last one has a ``finish_reason`` ("stop": the model ended or a stop text came;
    "length": there was no room for more) and the numbers of tokens read and written."""

    text: str
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def done(self) -> bool:
        return self.finish_reason is not None

    def to_dict(self) -> dict[str, Any]:
        """A line of the answer."""
        if not self.done:
            return {"text": self.text}
        return {
            "text": self.text,
            "done": True,
            "finish_reason": self.finish_reason,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Piece:
        return cls(**{name: value for name, value in values.items() if name != "done"})


def generate_request(
    model: str, prompt: str | Sequence[Mapping[str, str]], options: GenerationOptions
) -> GenerateRequest:
    """A request from a user's text or a whole conversation."""
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return GenerateRequest(model, tuple(turns), options)


def parse_generate(body: Any) -> GenerateRequest:
    """Check the body of /v1/generate; raises InferenceError "bad_request" that says where the fault is."""
    model = parse_model(body)
    known = {"model", "prompt", "messages", *(each.name for each in fields(GenerationOptions))}
    unknown = sorted(set(body) - known)
    if unknown:
        raise _bad(
            f"unknown: {', '.join(map(repr, unknown[:5]))}; known are {', '.join(sorted(known))}"
        )
    if ("prompt" in body) == ("messages" in body):
        raise _bad("give either a prompt or messages")
    if "prompt" in body:
        turns: Any = [{"role": "user", "content": body["prompt"]}]
        return GenerateRequest(model, _turns(turns, "prompt"), _options(body))
    return GenerateRequest(model, _turns(body["messages"], "messages"), _options(body))


def _turns(turns: Any, where: str) -> tuple[Mapping[str, str], ...]:
    if not isinstance(turns, list) or not turns:
        raise _bad(f"{where} must be a list of at least one turn")
    for place, turn in enumerate(turns):
        at = f"{where}[{place}]" if where == "messages" else where
        if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
            raise _bad(f'{at} must be {{"role": …, "content": …}}')
        if turn["role"] not in ROLES:
            raise _bad(f"{at}.role must be one of {', '.join(ROLES)}")
        content = turn["content"]
        if not isinstance(content, str) or not content.strip():
            raise _bad(f"{at} needs text that is not empty")
        _check_unicode(content, at)
    if all(turn["role"] == "system" for turn in turns):
        raise _bad(f"{where}: nobody said anything to reply to")
    return tuple(turns)


def _options(body: Mapping[str, Any]) -> GenerationOptions:
    return GenerationOptions(
        max_new_tokens=_whole(body, "max_new_tokens", 1, MAX_NEW_TOKENS),
        temperature=_number(body, "temperature", 0.0, 5.0),
        top_p=_number(body, "top_p", 0.0, 1.0, above=True),
        top_k=_whole(body, "top_k", 1, 100_000),
        repetition_penalty=_number(body, "repetition_penalty", 0.0, 10.0, above=True),
        seed=_whole(body, "seed", -_MAX_SEED, _MAX_SEED),
        stop=_stops(body.get("stop")),
    )


def _stops(stop: Any) -> tuple[str, ...]:
    if stop is None:
        return ()
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise _bad(f"stop must be a text or a list of at most {MAX_STOPS}")
    for place, text in enumerate(stops):
        if not isinstance(text, str) or not 0 < len(text) <= _MAX_STOP_LENGTH:
            raise _bad(f"stop[{place}] must be a text of 1 to {_MAX_STOP_LENGTH} characters")
        _check_unicode(text, f"stop[{place}]")
    return tuple(stops)


def _whole(body: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _bad(f"{name} must be a whole number from {least:,} to {most:,}")
    return value


def _number(
    body: Mapping[str, Any], name: str, least: float, most: float, *, above: bool = False
) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    fits = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and (least < value if above else least <= value)
        and value <= most
    )
    if not fits:
        start = f"above {least:g}" if above else f"from {least:g}"
        raise _bad(f"{name} must be a number {start} to {most:g}")
    return float(value)


def _check_unicode(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _bad(f"{where} holds a lone surrogate (half a character)") from None


def _bad(message: str) -> InferenceError:
    return InferenceError(message, code="bad_request")
