"""JSON as the specification has it: UTF-8, no NaN, no NUL, an error that says where."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.parsers import BaseParser

from rootstock.common.problems import Problem, pointer_part

MAX_DEPTH = 32


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


class StrictJSONParser(BaseParser):
    """Parses `application/json`; every refusal says where the fault is."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The decoded value.

        Raises:
            Problem: 400 malformed-json, 413 too-large, 422 for text that cannot be stored.
        """
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        # Without Content-Length the size is only known by reading: one byte more than allowed is enough.
        raw = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(raw) > limit:
            raise Problem(
                413, "too-large", f"The body is larger than {limit // 2**20} MiB. Send it in parts."
            )
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Problem(
                400, "malformed-json", f"The body is not UTF-8: byte {error.start} cannot be read."
            ) from error
        try:
            value = json.loads(text, parse_constant=_refuse_constant, parse_float=_float)
        except json.JSONDecodeError as error:
            raise Problem(
                400,
                "malformed-json",
                f"{error.msg} (line {error.lineno}, column {error.colno}).",
            ) from error
        except RecursionError as error:
            raise Problem(400, "malformed-json", "The body is nested too deeply.") from error
        except ValueError as error:
            raise Problem(400, "malformed-json", str(error)[:200]) from error
        # An escape is the only way in for what is valid JSON and not valid text.
        check_value(value, text_too="\\u" in text or "\x00" in text)
        return value


def check_value(value: Any, *, text_too: bool = True) -> None:
    """Refuse what is valid JSON and yet cannot be stored: NUL, half a surrogate pair, 33 levels.

    Raises:
        Problem: 400 for nesting, 422 with the pointer of the text.
    """
    waiting: list[tuple[Any, str, int]] = [(value, "", 1)]
    while waiting:
        item, pointer, depth = waiting.pop()
        if isinstance(item, str):
            if text_too:
                _check_text(item, pointer)
            continue
        if not isinstance(item, dict | list):
            continue
        if depth > MAX_DEPTH:
            raise Problem(
                400, "malformed-json", f"The body is nested more than {MAX_DEPTH} levels deep."
            )
        if isinstance(item, dict):
            if text_too:
                for key in item:
                    _check_text(key, pointer)
            waiting += [(v, f"{pointer}/{pointer_part(k)}", depth + 1) for k, v in item.items()]
        else:
            waiting += [(v, f"{pointer}/{index}", depth + 1) for index, v in enumerate(item)]


def _check_text(text: str, pointer: str) -> None:
    if "\x00" in text:
        detail = "contains a NUL character"
    elif any("\ud800" <= character <= "\udfff" for character in text):
        detail = "contains half of a surrogate pair"
    else:
        return
    raise Problem(
        422,
        "invalid",
        "Text must be valid Unicode without NUL characters.",
        errors=[{"pointer": pointer or "/", "detail": detail}],
    )
