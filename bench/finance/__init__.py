"""What the public-opinion monitor is worth, measured: a module a kind of measurement.

`script/bench finance --only nab` measures one of them; so do the names of the other modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from bench.harness import Column, Progress, Row, Section

# The order in which they are shown.
_ORDER = ("models", "stories", "nab", "surges", "forecast", "feeds")


def _parts() -> dict[str, ModuleType]:
    """The modules of this package that measure: those with `configurations` and `measure`."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    known = [*(name for name in _ORDER if name in names), *sorted(set(names) - set(_ORDER))]
    return {name: modules[name] for name in known if hasattr(modules[name], "measure")}


PARTS = _parts()


def configurations() -> list[dict[str, Any]]:
    """Those of every part, each with the part's name."""
    return [
        {"part": name, **configuration}
        for name, part in PARTS.items()
        for configuration in part.configurations()
    ]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The rows of one configuration of a part."""
    rows: list[Row] = PARTS[configuration["part"]].measure(configuration, progress)
    return [{"part": configuration["part"], **row} for row in rows]


def _columns() -> tuple[Column, ...]:
    """Those of every part, each once."""
    found = {column.key: column for part in PARTS.values() for column in part.COLUMNS}
    return (Column("part", "part"), *found.values())


SECTION = Section(
    name="finance",
    title="Public opinion: what is seen, how soon, and what is foretold",
    columns=_columns(),
    configurations=configurations,
    measure=measure,
    sources=("bench/finance", "ml_core/detection", "ml_core/forecasting"),
    packages=("numpy", "scipy", "scikit-learn", "torch"),
    notes=tuple(note for part in PARTS.values() for note in part.NOTES),
    tables_by="part",
)
