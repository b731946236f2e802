"""Compile the translations (.po → .mo) that are newer than what was compiled; needs no gettext."""

from __future__ import annotations

import sys
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from rootstock.launch.bootstrap import ROOT
from rootstock.launch.phases import write

LOCALES = ROOT / "platform" / "rootstock" / "web" / "locale"


class MessagesError(RuntimeError):
    """A translation file cannot be read; the message says which and where."""


def compile_messages(locales: Path = LOCALES) -> int:
    """Compile what has changed; returns how many files. Raises MessagesError."""
    count = 0
    for source in sorted(locales.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        try:
            with source.open("rb") as file:
                catalogue = read_po(file, locale=source.parts[-3], abort_invalid=True)
        except (PoFileError, UnicodeDecodeError) as error:
            raise MessagesError(f"{source}: {error}") from error
        new = target.with_suffix(".new")
        with new.open("wb") as file:
            write_mo(file, catalogue)
        new.replace(target)
        count += 1
    return count


if __name__ == "__main__":
    try:
        compile_messages()
    except MessagesError as error:
        write(str(error))
        sys.exit(1)
