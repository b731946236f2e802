"""The one error of everything that reads data."""

from __future__ import annotations

from pathlib import Path


class DataError(Exception):
    """A data file that cannot be used: which file, where in it, and what is wrong.

    ``line`` counts from 1 and includes the header of a CSV file; for Parquet it is the row number.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        self.problem = problem
        self.path = None if path is None else Path(path)
        self.line = line
        self.column = column
        where = [str(path)] if path is not None else []
        if line is not None:
            where.append(f"line {line}")
        if column is not None:
            where.append(f"column {column!r}")
        super().__init__(f"{', '.join(where)}: {problem}" if where else problem)
