"""Cells of files that spreadsheets open."""

from __future__ import annotations

_BEGINS = ("=", "+", "-", "@", "\t", "\r")


def cell_harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_BEGINS) else text


def cell_text(cell: str) -> str:
    """What `cell_harmless` was given."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_BEGINS) else cell
