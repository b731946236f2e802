"""What all benchmark sections share: finished rows are kept, tables are printed, machines are named.

A section is a module of this package with a `SECTION`:

    SECTION = Section(
        name="ingest",
        title="Documents through the whole path",
        columns=(Column("system", "system"), Column("rate", "documents/s", ".1f")),
        configurations=configurations,   # () -> list of dicts, one a measurement
        measure=measure,                 # (configuration, progress) -> list of rows
        sources=("apps/finance_sentiment", "ml_core/serving"),
    )

`measure` gets one configuration at a time and returns its rows (dicts with the columns' keys). Rows are kept in
`var/bench/` under the configuration, the contents of `sources`, the machine and the package versions: a run that
was cut off goes on where it stopped, and nothing stale is ever shown. Peers are configurations like any other,
measured in the same run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from rootstock.launch.bootstrap import ROOT

Row = dict[str, Any]
Progress = Callable[[str], None]
SHOWN_VERSIONS = ("torch", "transformers", "Django", "psycopg", "celery", "redis")


@dataclass(frozen=True)
class Column:
    """A column of the table: the row's key, its heading with the unit, how numbers are written."""

    key: str
    heading: str
    format: str = ""

    def text(self, row: Row) -> str:
        """The cell; an absent value is a dash."""
        value = row.get(self.key)
        return "–" if value is None else format(value, self.format)


@dataclass(frozen=True)
class Section:
    """One capability and how it is measured; see the module's docstring."""

    name: str
    title: str
    columns: Sequence[Column]
    configurations: Callable[[], list[dict[str, Any]]]
    measure: Callable[[dict[str, Any], Progress], list[Row]]
    sources: Sequence[str]
    notes: Sequence[str] = ()
    packages: Sequence[str] = SHOWN_VERSIONS
    # The key of rows by which they are shown as several tables, each with the columns that it has.
    tables_by: str = ""
    # Makes the rows that are shown out of those that were measured: means over seeds.
    summarise: Callable[[list[Row]], list[Row]] | None = None


@dataclass
class Result:
    """The rows of a section, and what could not be measured."""

    section: Section
    rows: list[Row] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    measured: int = 0


def run_section(
    section: Section, store: Path, progress: Progress, *, fresh: bool, only: str = ""
) -> Result:
    """Measure every configuration that is not in the store; a failed one does not stop the others. With ``only`` those
    are measured whose JSON has that text; what the store has of the others is shown all the same."""
    result = Result(section)
    base = {
        "section": section.name,
        "code": fingerprint(section.sources),
        "machine": machine(),
        "versions": versions(section.packages),
    }
    configurations = section.configurations()
    for number, configuration in enumerate(configurations, start=1):
        key = hashlib.sha256(
            json.dumps({**base, "configuration": configuration}, sort_keys=True).encode()
        ).hexdigest()[:20]
        kept = store / section.name / f"{key}.json"
        if kept.exists() and not (fresh and only in json.dumps(configuration)):
            result.rows += json.loads(kept.read_text())["rows"]
            continue
        if only not in json.dumps(configuration):
            continue
        progress(f"{section.name} {number} of {len(configurations)}: {configuration}")
        try:
            rows = section.measure(configuration, progress)
        except Exception as error:  # reported at the end, and by the exit status
            result.errors.append(f"{configuration}: {type(error).__name__}: {error}")
            progress(f"not measured: {result.errors[-1]}")
            continue
        result.measured += 1
        rows = [{**row, "measured_at": now()} for row in rows]
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(".new")
        new.write_text(json.dumps({**base, "configuration": configuration, "rows": rows}, indent=1))
        new.replace(kept)
        result.rows += rows
    return result


def table(section: Section, rows: Sequence[Row]) -> str:
    """The rows as aligned text: words to the left, numbers to the right."""
    if section.tables_by:
        parts = dict.fromkeys(row.get(section.tables_by) for row in rows)
        return "\n\n".join(
            _table(
                [column for column in section.columns if any(column.key in row for row in own)], own
            )
            for part in parts
            if (own := [row for row in rows if row.get(section.tables_by) == part])
        )
    return _table(section.columns, rows)


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    cells = [[column.heading for column in columns]]
    cells += [[column.text(row) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    numeric = [
        all(isinstance(row.get(column.key), int | float | None) for row in rows)
        for column in columns
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def run_program(command: list[str], variables: dict[str, str]) -> str:
    """What a program of the repository prints.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:3])}: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def fingerprint(sources: Sequence[str]) -> str:
    """Of the contents of files and folders of the checkout (Python, TypeScript, scripts, data)."""
    digest = hashlib.sha256()
    for source in sources:
        top = ROOT / source
        if not top.exists():
            raise FileNotFoundError(
                f"a benchmark names {source} as its source, which does not exist"
            )
        paths = [top] if top.is_file() else sorted(top.rglob("*"))
        for path in paths:
            if path.is_file() and not {"__pycache__", "node_modules", "dist"} & set(path.parts):
                digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def machine() -> dict[str, str | int]:
    """What numbers depend on; the same each time on one machine."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", maxsplit=1)[1].strip()
    return platform.processor() or "unknown"


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The installed versions of packages that matter."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine_line(packages: Sequence[str]) -> str:
    """For people: where and with what this was measured."""
    here = machine()
    names = ", ".join(f"{name} {number}" for name, number in versions(packages).items())
    return (
        f"{here['processor']}, {here['cores']} cores, {here['memory_gb']} GB, {here['system']}, "
        f"Python {here['python']}, {names}"
    )


def commit() -> str:
    """The commit of the checkout, for rows that outlive it."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def now() -> str:
    """The time with its zone, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
