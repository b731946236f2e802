"""Read rules from YAML with the line of everything.

The nodes are read instead of the values: they know their lines, and a label written ``no`` stays the
text "no".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ml_core.data.errors import DataError
from ml_core.knowledge.rules import Entry, Knowledge, Rule, make_rule, suggestion

_TOP_KEYS = ("rules", "gazetteer")
_RULE_KEYS = ("name", "label", "phrases", "regex", "strength")


def parse_yaml(content: str, path: Path) -> Knowledge:
    """Raises DataError with the line."""
    try:
        root = yaml.compose(content, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise DataError(f"not valid YAML: {error.problem}", path=path, line=line) from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"not valid YAML: {reason}", path=path) from None
    if root is None:
        return Knowledge()
    reader = _Reader(path)
    parts = reader.mapping(root, "the file", _TOP_KEYS)
    rules = [reader.rule(node) for node in reader.sequence(parts.get("rules"), "rules")]
    entries: list[Entry] = []
    if "gazetteer" in parts:
        for kind, names in reader.mapping(parts["gazetteer"], "gazetteer", None).items():
            nodes = reader.sequence(names, f"gazetteer entries of {kind!r}")
            entries += [Entry(reader.text(node, "a surface"), kind, _line(node)) for node in nodes]
    return Knowledge(tuple(rules), tuple(entries))


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def rule(self, node: yaml.Node) -> Rule:
        parts = self.mapping(node, "a rule", _RULE_KEYS)
        if "label" not in parts:
            raise self._error("the rule has no label", node)
        values: dict[str, Any] = {
            key: self.text(part, key) for key, part in parts.items() if key != "phrases"
        }
        phrases = self.sequence(parts.get("phrases"), "phrases")
        values["phrases"] = tuple(self.text(phrase, "a phrase") for phrase in phrases)
        # A fault of the pattern is shown where the pattern is.
        place = parts.get("regex", node)
        return make_rule(self._path, _line(place), **values)

    def mapping(
        self, node: yaml.Node, what: str, allowed: Sequence[str] | None
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(f"{what} must be keys with values", node)
        parts: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self.text(key_node, "a key")
            if key in parts:
                raise self._error(f"{key!r} is there twice", key_node)
            if allowed is not None and key not in allowed:
                raise self._error(f"key {key!r} is unknown; {suggestion(key, allowed)}", key_node)
            parts[key] = value
        return parts

    def sequence(self, node: yaml.Node | None, what: str) -> list[yaml.Node]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(f"{what} must be a list", node)
        return list(node.value)

    def text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(f"{what} must be a text", node)
        value = str(node.value).strip()
        if not value:
            raise self._error(f"{what} is empty", node)
        return value

    def _error(self, problem: str, node: yaml.Node) -> DataError:
        return DataError(problem, path=self._path, line=_line(node))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
