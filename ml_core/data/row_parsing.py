"""The keys of every task's row, and checking one row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ml_core.data.images import check_image_name
from ml_core.data.row_files import MAX_FIELD_CHARACTERS, RowError
from ml_core.data.spans import parse_spans

ROLES = ("system", "user", "assistant")
SEPARATOR = "|"
MAX_LIST = 100_000


@dataclass(frozen=True)
class Row:
    """One row: its content as the task's table says, the other columns, and its line in the file
    (0: it came from none; of Parquet and images its number)."""

    content: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class TaskFields:
    """The keys of a task's row: those that must be there, that may be, and the answer's key ("":
    there is nothing to label)."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    answer: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All keys."""
        answer = (self.answer,) if self.answer and self.answer not in self.optional else ()
        return (*self.required, *answer, *self.optional)


FIELDS: dict[str, TaskFields] = {
    "text-classification": TaskFields(("text",), answer="label"),
    "multi-label-classification": TaskFields(("text",), answer="labels"),
    "token-classification": TaskFields(("tokens",), answer="tags"),
    # Labels may stand in the spans.
    "span-classification": TaskFields(("text", "spans"), ("labels",), answer="labels"),
    "text-embedding": TaskFields(("anchor", "positive"), ("negative", "score"), answer="score"),
    "reranking": TaskFields(("query", "document"), answer="label"),
    "text-generation": TaskFields((), ("messages", "prompt", "response"), answer="response"),
    "image-classification": TaskFields(("image",), answer="label"),
    "next-item": TaskFields(("items",), ("user",)),
    "masked-language-model": TaskFields(("text",)),
}
TASKS = tuple(FIELDS)


def task_fields(task: str) -> TaskFields:
    """The keys of a task's row. Raises KeyError for an unknown task."""
    return FIELDS[task]


def parse_row(task: str, mapping: Mapping[str, Any], *, require_answer: bool = True) -> Row:
    """Check one row; what is not of the task's table becomes metadata.

    Labels that are whole numbers become text. Tags in IOB1 or BIOES are rewritten to BIO. Without
    ``require_answer`` a missing or empty answer is left out of the content.

    Raises RowError with the column at fault; KeyError for an unknown task.
    """
    names = FIELDS[task].names
    content = _PARSERS[task](mapping, require_answer)
    return Row(content, _metadata({k: v for k, v in mapping.items() if k not in names}))


def bio_tags(tags: Sequence[str]) -> list[str]:
    """Tags in BIO, from BIO, IOB1, BIOES or BILOU. Raises RowError naming the first that is none.

    An ``I-X`` behind anything but ``B-X`` or ``I-X`` begins an entity, as in IOB1.
    """
    result: list[str] = []
    inside = ""
    for place, tag in enumerate(tags, start=1):
        prefix, dash, kind = tag.partition("-")
        if tag == "O":
            result.append(tag)
            inside = ""
            continue
        if prefix not in _TAG_PREFIXES or not dash or not kind:
            raise RowError(
                "tag %(place)d “%(tag)s” is neither O nor like B-NAME or I-NAME",
                {"place": place, "tag": tag[:40]},
                column="tags",
            )
        begins = prefix in ("B", "S", "U") or inside != kind
        result.append(f"{'B' if begins else 'I'}-{kind}")
        inside = "" if prefix in ("E", "L", "S", "U") else kind
    return result


_TAG_PREFIXES = frozenset("BIESLU")


def _metadata(others: Mapping[Any, Any]) -> dict[str, Any]:
    """The other columns, one plain value each; empty ones are left out."""
    kept: dict[str, Any] = {}
    for name, given in others.items():
        value = _plain(given)
        if value is None or value == "" or not str(name).strip():
            continue
        for text in (str(name), value):
            if isinstance(text, str):
                _check_characters(text, f"metadata {name!r}"[:60])
        kept[str(name)] = value
    return kept


def _plain(value: Any) -> str | int | float | bool | None:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def parse_text(value: Any, column: str) -> str:
    """Text as it is; raises RowError for anything else, and for what nothing can store."""
    if not isinstance(value, str):
        if value is None:
            raise RowError("missing", column=column)
        raise RowError("a %(kind)s, not text", {"kind": type(value).__name__}, column=column)
    if len(value) > MAX_FIELD_CHARACTERS:
        raise RowError(
            "longer than %(longest)s characters",
            {"longest": f"{MAX_FIELD_CHARACTERS:,}"},
            column=column,
        )
    if not value.strip():
        raise RowError("the text is empty", column=column)
    _check_characters(value, column)
    return value


def _check_characters(value: str, column: str) -> None:
    if "\0" in value:
        raise RowError("contains a NUL character", column=column)
    try:
        value.encode()
    except UnicodeEncodeError:
        # JSON may spell half of a surrogate pair, which no encoder can write.
        raise RowError("contains half of a character (a lone surrogate)", column=column) from None


def parse_identifier(value: Any, column: str) -> str:
    """A name: text or a whole number, without surrounding white space."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return parse_text(value, column).strip()


def _answer_missing(value: Any, column: str, required: bool) -> bool:
    """Whether there is no answer; raises RowError where there must be one."""
    if value is not None and not (isinstance(value, str) and not value.strip()):
        return False
    if required:
        raise RowError("the answer is missing", column=column)
    return True


def _list(value: Any, column: str) -> list[Any]:
    if isinstance(value, str):
        value = [part for part in value.split(SEPARATOR) if part.strip()]
    if not isinstance(value, (list, tuple)):
        kind = type(value).__name__
        raise RowError("a %(kind)s, not a list", {"kind": kind}, column=column)
    if len(value) > MAX_LIST:
        raise RowError("more than %(limit)s values", {"limit": f"{MAX_LIST:,}"}, column=column)
    return list(value)


def _parse_text_label(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"text": parse_text(mapping.get("text"), "text")}
    label = mapping.get("label")
    if not _answer_missing(label, "label", required):
        content["label"] = parse_identifier(label, "label")
    return content


def _parse_multi_label(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"text": parse_text(mapping.get("text"), "text")}
    labels = mapping.get("labels")
    # In a CSV file an empty cell is an answer where answers are asked for: none of the labels.
    if required and isinstance(labels, str):
        labels = _list(labels, "labels")
    if not _answer_missing(labels, "labels", required):
        names = [parse_identifier(label, "labels") for label in _list(labels, "labels")]
        content["labels"] = list(dict.fromkeys(names))
    return content


def _parse_tokens(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    tokens, tags = mapping.get("tokens"), mapping.get("tags")
    if isinstance(tokens, str) or isinstance(tags, str):
        raise RowError("text, not a list; use JSONL, Parquet or a CoNLL file", column="tokens")
    if tokens is None:
        raise RowError("missing", column="tokens")
    words = [parse_text(token, "tokens") for token in _list(tokens, "tokens")]
    if not words:
        raise RowError("the list is empty", column="tokens")
    content: dict[str, Any] = {"tokens": words}
    if not _answer_missing(tags, "tags", required):
        given = _list(tags, "tags")
        if not required and not any(given):
            return content
        if len(given) != len(words):
            raise RowError(
                "%(tags)d tags for %(tokens)d tokens",
                {"tags": len(given), "tokens": len(words)},
                column="tags",
            )
        content["tags"] = bio_tags([parse_identifier(tag, "tags") for tag in given])
    return content


def _parse_spans(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    """Labels stand in the spans, or in a list of their own in the same order."""
    text = parse_text(mapping.get("text"), "text")
    spans, said = parse_spans(mapping.get("spans"), text)
    content: dict[str, Any] = {"text": text, "spans": spans}
    labels = mapping.get("labels")
    if labels is None and any(label is not None for label in said):
        labels = said
    if _answer_missing(labels, "labels", required):
        return content
    names = [parse_identifier(label, "labels") for label in _list(labels, "labels")]
    if not names and not required:
        return content
    if len(names) != len(spans):
        raise RowError(
            "%(labels)d labels for %(spans)d spans",
            {"labels": len(names), "spans": len(spans)},
            column="labels",
        )
    content["labels"] = names
    return content


def _parse_pair(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    del required  # a positive pair is an answer by itself
    content: dict[str, Any] = {
        "anchor": parse_text(mapping.get("anchor"), "anchor"),
        "positive": parse_text(mapping.get("positive"), "positive"),
    }
    negative, score = mapping.get("negative"), mapping.get("score")
    if not _answer_missing(negative, "negative", False):
        content["negative"] = parse_text(negative, "negative")
    if not _answer_missing(score, "score", False):
        if "negative" in content:
            raise RowError("a row has a negative or a score, not both", column="score")
        content["score"] = _score(score)
    return content


def _score(value: Any) -> float:
    try:
        score = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        score = float("nan")
    if not 0.0 <= score <= 1.0:
        raise RowError("not a number from 0 to 1", column="score")
    return score


def _parse_reranking(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "query": parse_text(mapping.get("query"), "query"),
        "document": parse_text(mapping.get("document"), "document"),
    }
    label = mapping.get("label")
    if not _answer_missing(label, "label", required):
        if str(label).strip() not in ("0", "1", "0.0", "1.0", "True", "False"):
            raise RowError("neither 0 nor 1", column="label")
        content["label"] = int(str(label).strip() in ("1", "1.0", "True"))
    return content


def _parse_generation(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    if not _answer_missing(mapping.get("messages"), "messages", False):
        turns = [_turn(turn, place) for place, turn in enumerate(_turns(mapping["messages"]))]
        if required and turns[-1]["role"] != "assistant":
            raise RowError("the last message is not from the assistant", column="messages")
        if not any(turn["role"] == "user" for turn in turns):
            raise RowError("no message is from the user", column="messages")
        return {"messages": turns}
    content = {"prompt": parse_text(mapping.get("prompt"), "prompt")}
    response = mapping.get("response")
    if not _answer_missing(response, "response", required):
        content["response"] = parse_text(response, "response")
    return content


def _turns(value: Any) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)  # how a CSV cell holds a list of messages
        except (ValueError, RecursionError):
            raise RowError("not a JSON list of messages", column="messages") from None
    turns = _list(value, "messages")
    if not turns:
        raise RowError("the list is empty", column="messages")
    return turns


def _turn(value: Any, place: int) -> dict[str, str]:
    if not isinstance(value, Mapping) or value.get("role") not in ROLES:
        raise RowError(
            "message %(place)d needs a role (system, user or assistant) and content",
            {"place": place + 1},
            column="messages",
        )
    if value["role"] == "system" and place:
        raise RowError("only the first message may be of the system", column="messages")
    return {"role": value["role"], "content": parse_text(value.get("content"), "messages")}


def _parse_image(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    name = parse_text(mapping.get("image"), "image")
    check_image_name(name)
    content: dict[str, Any] = {"image": name}
    label = mapping.get("label")
    if not _answer_missing(label, "label", required):
        content["label"] = parse_identifier(label, "label")
    return content


def _parse_items(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    del required  # the answer is the sequence's end
    value = mapping.get("items")
    if value is None:
        raise RowError("missing", column="items")
    items = [parse_identifier(item, "items") for item in _list(value, "items")]
    if not items:
        raise RowError("the list is empty", column="items")
    content: dict[str, Any] = {"items": items}
    if not _answer_missing(mapping.get("user"), "user", False):
        content["user"] = parse_identifier(mapping["user"], "user")
    return content


def _parse_text(mapping: Mapping[str, Any], required: bool) -> dict[str, Any]:
    del required
    return {"text": parse_text(mapping.get("text"), "text")}


_PARSERS: dict[str, Callable[[Mapping[str, Any], bool], dict[str, Any]]] = {
    "text-classification": _parse_text_label,
    "multi-label-classification": _parse_multi_label,
    "token-classification": _parse_tokens,
    "span-classification": _parse_spans,
    "text-embedding": _parse_pair,
    "reranking": _parse_reranking,
    "text-generation": _parse_generation,
    "image-classification": _parse_image,
    "next-item": _parse_items,
    "masked-language-model": _parse_text,
}
