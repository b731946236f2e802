"""Whether the translations have to be compiled again (`manage.py messages --compile` does it)."""

from __future__ import annotations

from pathlib import Path

from rootstock.launch.bootstrap import ROOT

LOCALES = ROOT / "platform" / "rootstock" / "web" / "locale"


def outdated(locales: Path = LOCALES) -> bool:
    """Whether a translation is newer than what was compiled, or nothing was."""
    compiled = [path.stat().st_mtime for path in locales.rglob("*.mo")]
    return not compiled or min(compiled) < max(
        path.stat().st_mtime for path in locales.rglob("*.po")
    )


def mark_compiled(locales: Path = LOCALES) -> None:
    """Note that everything is up to date: a compiled file that did not change keeps its old time."""
    for path in locales.rglob("*.mo"):
        path.touch()
