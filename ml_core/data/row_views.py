"""What a row says: as one text for a person, for comparing it, and for telling it apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ml_core.data.row_parsing import FIELDS


def row_text(task: str, content: Mapping[str, Any]) -> str:
    """What a person is shown of a row, in one text."""
    if task == "token-classification":
        return join_tokens(content["tokens"])
    if task == "text-generation":
        return "\n".join(f"{turn['role']}: {turn['content']}" for turn in row_messages(content))
    if task == "next-item":
        return " → ".join(content["items"])
    shown = {
        "text-embedding": ("anchor", "positive"),
        "reranking": ("query", "document"),
        "image-classification": ("image",),
    }
    return "\n".join(str(content[name]) for name in shown.get(task, ("text",)))


def row_question(task: str, content: Mapping[str, Any]) -> str:
    """The text by which rows are near duplicates: two rows with one question belong in one part of
    a split, whatever their answers or documents are."""
    match task:
        case "text-embedding":
            return str(content["anchor"])
        case "reranking":
            return str(content["query"])
        case "text-generation":
            return "\n".join(
                turn["content"] for turn in row_messages(content) if turn["role"] == "user"
            )
        case _:
            return row_text(task, content)


def row_identity(task: str, content: Mapping[str, Any]) -> str:
    """What makes a row the same row: canonical JSON of its content without its label. One prompt
    may have several good responses: they are part of it."""
    answer = "" if task == "text-generation" else FIELDS[task].answer
    kept = {name: value for name, value in content.items() if name != answer}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def row_messages(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """The turns of a text-generation row, also of one with prompt and response."""
    if "messages" in content:
        return [dict(turn) for turn in content["messages"]]
    turns = [{"role": "user", "content": content["prompt"]}]
    if content.get("response"):
        turns.append({"role": "assistant", "content": content["response"]})
    return turns


def join_tokens(tokens: Sequence[str]) -> str:
    """Tokens as a text: a blank between them unless both neighbours are East Asian."""
    parts: list[str] = []
    for token in tokens:
        if parts and not (_is_cjk(parts[-1][-1]) and _is_cjk(token[0])):
            parts.append(" ")
        parts.append(token)
    return "".join(parts)


def is_answered(task: str, content: Mapping[str, Any]) -> bool:
    """Whether the row says what a model should say; rows of tasks without an answer always do."""
    answer = FIELDS[task].answer
    if task == "text-embedding":
        return True  # a positive pair without a score says enough
    if task == "text-generation":
        return row_messages(content)[-1]["role"] == "assistant"
    return not answer or answer in content


def _is_cjk(character: str) -> bool:
    return "\u2e80" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef"
