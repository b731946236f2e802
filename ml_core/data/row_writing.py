"""Write rows so that they are read back as the same rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_core.data.row_files import RowError
from ml_core.data.row_parsing import FIELDS, SEPARATOR, Row

_WRITE_BATCH = 1000


def write_rows(
    path: Path | str,
    rows: Iterable[Row | Mapping[str, Any]],
    *,
    task: str = "",
    metadata: Sequence[str] = (),
) -> int:
    """Write rows to a .jsonl, .csv, .parquet or (of token-classification) .conll file; returns how
    many. `read_rows` reads what was written as the same rows.

    A CSV or Parquet file has the columns of ``task`` and of ``metadata``; JSONL has all. In CSV a
    list is parted by "|" (empty: a single "|").

    Raises RowError for a file of another kind, and for a row that the file's kind cannot hold.
    """
    path = Path(path)
    kind = path.suffix.lower()
    records = (
        {**row.content, **row.metadata} if isinstance(row, Row) else dict(row) for row in rows
    )
    if kind in (".jsonl", ".ndjson"):
        return _write_jsonl(path, records)
    if kind == ".conll":
        return _write_conll(path, records)
    if kind not in (".csv", ".parquet"):
        raise RowError("unknown kind of file “%(kind)s”", {"kind": kind}, path=path)
    names = [*FIELDS[task].names, *metadata]
    write = _write_csv if kind == ".csv" else _write_parquet
    return write(path, records, names)


def _write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def _write_csv(path: Path, records: Iterable[Mapping[str, Any]], names: Sequence[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for record in records:
            count += 1
            writer.writerow([_cell(record.get(name), path, count, name) for name in names])
    return count


def _cell(value: Any, path: Path, number: int, column: str) -> Any:
    if not isinstance(value, list):
        return "" if value is None else value
    if column in ("messages", "spans"):
        return json.dumps(value, ensure_ascii=False)
    if any(SEPARATOR in str(part) for part in value) or column in ("tokens", "tags"):
        raise RowError(
            "a list that CSV cannot hold; write JSONL", path=path, line=number, column=column
        )
    return SEPARATOR.join(map(str, value)) or SEPARATOR


def _write_parquet(path: Path, records: Iterable[Mapping[str, Any]], names: Sequence[str]) -> int:
    import pyarrow
    from pyarrow import parquet

    count = 0
    schema = pyarrow.schema([(name, _arrow_type(name, pyarrow)) for name in names])
    with parquet.ParquetWriter(path, schema) as writer:
        batch: list[dict[str, Any]] = []
        for record in records:
            batch.append({name: _arrow_value(record.get(name), name) for name in names})
            count += 1
            if len(batch) == _WRITE_BATCH:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema))
                batch = []
        writer.write_table(pyarrow.Table.from_pylist(batch, schema))
    return count


def _arrow_type(name: str, pyarrow: Any) -> Any:
    if name in ("labels", "tokens", "tags", "items"):
        return pyarrow.list_(pyarrow.string())
    if name == "spans":
        return pyarrow.list_(pyarrow.list_(pyarrow.int64()))
    if name == "messages":
        turn = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
        return pyarrow.list_(turn)
    return pyarrow.float64() if name == "score" else pyarrow.string()


def _arrow_value(value: Any, name: str) -> Any:
    # Metadata and labels are of any plain type; a column has one.
    plain = value is None or isinstance(value, list) or name == "score"
    return value if plain else str(value)


def _write_conll(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            count += 1
            tags = record.get("tags") or [""] * len(record["tokens"])
            for token, tag in zip(record["tokens"], tags, strict=True):
                if any(c in token for c in "\t\r\n"):
                    raise RowError(
                        "a token with a tab or line break; write JSONL", path=path, line=count
                    )
                file.write(f"{token}\t{tag}\n" if tag else f"{token}\n")
            file.write("\n")
    return count
