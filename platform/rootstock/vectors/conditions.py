"""What searches can be narrowed by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb


def conditions(filters: Mapping[str, Any]) -> tuple[sql.Composable, dict[str, Any]]:
    """SQL and values of "each attribute has the value, or one of the values"."""
    parts: list[sql.Composable] = [sql.SQL("true")]
    values: dict[str, Any] = {}
    for number, (name, wanted) in enumerate(filters.items()):
        allowed = wanted if isinstance(wanted, list | tuple) else [wanted]
        mark = f"filter{number}"
        values[mark] = [Jsonb({name: value}) for value in allowed]
        parts.append(sql.SQL("item.attributes @> ANY({}::jsonb[])").format(sql.Placeholder(mark)))
    return sql.SQL(" AND ").join(parts), values
