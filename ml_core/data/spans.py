"""Stretches of a text, as [start, end) in characters: checking what a file or a caller says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ml_core.data.row_files import RowError

# More mentions than this in one text is a list of names, not something to judge.
MAX_SPANS = 1000

Span = tuple[int, int]


def parse_spans(value: Any, text: str) -> tuple[list[list[int]], list[Any]]:
    """The places ``[[start, end], …]`` in ``text``, in the order given, and what was said of each.

    A span is ``[start, end]`` or ``{"start", "end", "label"?}``; a text that is JSON is read first, which is how a CSV
    cell holds a list. What was said is the label, None where there is none.

    Raises RowError for anything else: places outside the text, spans of white space alone or the same one twice.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise RowError("not a JSON list of spans", column="spans") from None
    if value is None:
        raise RowError("missing", column="spans")
    if not isinstance(value, (list, tuple)):
        raise RowError("a %(kind)s, not a list", {"kind": type(value).__name__}, column="spans")
    if not value:
        raise RowError("the list is empty", column="spans")
    if len(value) > MAX_SPANS:
        raise RowError("more than %(limit)s values", {"limit": f"{MAX_SPANS:,}"}, column="spans")
    spans, labels = [], []
    seen: set[Span] = set()
    for place, each in enumerate(value, start=1):
        start, end, label = _parts(each, place)
        if not 0 <= start < end <= len(text):
            raise RowError(
                "span %(place)d, %(start)d to %(end)d, is not within the text of %(length)d characters",
                {"place": place, "start": start, "end": end, "length": len(text)},
                column="spans",
            )
        if not text[start:end].strip():
            raise RowError("span %(place)d is only white space", {"place": place}, column="spans")
        if (start, end) in seen:
            raise RowError("span %(place)d is there twice", {"place": place}, column="spans")
        seen.add((start, end))
        spans.append([start, end])
        labels.append(label)
    return spans, labels


def _parts(span: Any, place: int) -> tuple[int, int, Any]:
    label = None
    if isinstance(span, Mapping):
        label = span.get("label")
        span = (span.get("start"), span.get("end"))
    if not isinstance(span, (list, tuple)) or len(span) != 2 or not all(map(_is_whole, span)):
        raise RowError(
            "span %(place)d is neither [start, end] nor an object with start and end",
            {"place": place},
            column="spans",
        )
    return int(span[0]), int(span[1]), label


def _is_whole(value: Any) -> bool:
    # Parquet and spreadsheets give 3.0 for 3.
    if isinstance(value, float):
        return value.is_integer() and abs(value) < 2**53
    return isinstance(value, int) and not isinstance(value, bool)
