"""`script/bench SECTION… [--json FILE] [--fresh] [--models DIR]`, `script/bench --list [SECTION…]`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

import bench
from bench.harness import Section, machine, machine_line, now, run_section, table, versions
from ml_core.models.found_bases import BASES_VARIABLE
from rootstock.config.embedded import var_directory


def sections() -> dict[str, Section]:
    """Every module of this package that has a SECTION."""
    found = {}
    for module in pkgutil.iter_modules(bench.__path__):
        if module.name not in ("__main__", "harness"):
            section = getattr(importlib.import_module(f"bench.{module.name}"), "SECTION", None)
            if section is not None:
                found[section.name] = section
    return found


def listing(available: dict[str, Section], names: list[str]) -> list[str]:
    """The sections, or the settings of those that are named: what `--only` chooses from."""
    if not names:
        return [f"{section.name:<12} {section.title}" for section in available.values()]
    settings = [setting for name in names for setting in available[name].configurations()]
    return [json.dumps(setting, ensure_ascii=False) for setting in settings]


def main() -> int:
    """Measure what is asked for; 1 when something could not be measured."""
    available = sections()
    parser = argparse.ArgumentParser(
        prog="script/bench", description="Measure what Rootstock can do."
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(available))
    parser.add_argument(
        "--list", action="store_true", help="name the sections, or the settings of those named"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="measure only settings whose JSON has this text"
    )
    parser.add_argument(
        "--models",
        action="append",
        type=_models,
        default=[],
        metavar="DIR",
        help="a model directory, or a folder of such, to measure as well (section base)",
    )
    parser.add_argument("--fresh", action="store_true", help="measure again what was kept")
    options = parser.parse_args()
    if options.models:
        named = map(str, options.models)
        known = os.environ.get(BASES_VARIABLE, "")
        os.environ[BASES_VARIABLE] = os.pathsep.join([*named, *filter(None, [known])])
    unknown = [name for name in options.sections if name not in available]
    if unknown or not (options.sections or options.list):
        parser.error(
            (f"there is no section {', '.join(unknown)}; " if unknown else "name a section: ")
            + f"there are {', '.join(available)}"
        )
    if options.list:
        print("\n".join(listing(available, options.sections)))
        return 0
    failed = False
    measured: dict[str, Any] = {}
    for name in options.sections:
        section = available[name]
        result = run_section(
            section,
            var_directory() / "bench",
            progress,
            fresh=options.fresh,
            only=options.only,
        )
        if section.summarise is not None:
            result.rows = section.summarise(result.rows)
        print(f"\n{section.title}\n{machine_line(section.packages)}, {now()}\n")
        print(table(section, result.rows))
        for note in section.notes:
            print(f"  {note}")
        if result.rows and result.measured == 0:
            print("  All rows were kept from an earlier run; --fresh measures again.")
        for error in result.errors:
            print(f"  not measured: {error}")
        failed = failed or bool(result.errors)
        measured[name] = {
            "rows": result.rows,
            "errors": result.errors,
            "versions": versions(section.packages),
        }
    if options.json is not None:
        report = {"date": now(), "machine": machine(), "sections": measured}
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return 1 if failed else 0


def _models(text: str) -> Path:
    path = Path(text)
    if not (any(path.glob("config.json")) or any(path.glob("*/config.json"))):
        raise argparse.ArgumentTypeError(f"{text}: neither a model directory nor a folder of such")
    return path.resolve()


def progress(text: str) -> None:
    """What is being measured right now; the table alone goes to standard output."""
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
