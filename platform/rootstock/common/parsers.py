"""JSON as the specification has it: UTF-8, no NaN, no NUL, an error that says where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from rootstock.common.problems import Problem


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class StrictJSONParser(BaseParser):
    """Parses `application/json`; every refusal is a 400 with the place of the fault."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The decoded value.

        Raises:
            Problem: 400 malformed-json.
        """
        raw = stream.read()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Problem(
                400, "malformed-json", f"The body is not UTF-8: byte {error.start} cannot be read."
            ) from error
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
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
        if "\\u0000" in text or "\x00" in text:
            _refuse_nul(value, "")
        return value


def _refuse_nul(value: Any, pointer: str) -> None:
    if isinstance(value, str) and "\x00" in value:
        raise Problem(
            422,
            "invalid",
            "Text must not contain NUL characters.",
            errors=[{"pointer": pointer or "/", "detail": "contains a NUL character"}],
        )
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, pointer)
            _refuse_nul(item, f"{pointer}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nul(item, f"{pointer}/{index}")
