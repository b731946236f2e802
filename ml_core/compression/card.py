"""The part of a model card that says how a model was made smaller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MEGABYTE = 1_000_000


def compression_card(card: str, parent: str, record: Mapping[str, Any]) -> str:
    """``card`` with a section on the compression; ``record`` is `Compressed.to_dict`."""
    rows = [("original", record["original"])]
    rows += [(each["step"], each) for each in record["steps"]]
    headline = record["original"]["headline"]
    lines = [
        card.rstrip(),
        "",
        "## Compression",
        "",
        f"Made from the artefact `{parent[:16]}…`, in this order. Size is that of the files needed to serve: with int8 "
        "the float weights, which stay for explanations and further training, are not among them.",
        "",
        f"| step | {headline} | ECE | worst slice | parameters | MB |",
        "|---|---:|---:|---:|---:|---:|",
        *(_row(name, each) for name, each in rows),
        "",
        f"{record['times_smaller']:g} times smaller. On the machine that made it {record['times_faster']:g} times "
        f"faster with one row at a time ({record['original']['milliseconds']:g} → "
        f"{record['compressed']['milliseconds']:g} ms) and {record['times_throughput']:g} times with many "
        f"({record['original']['per_second']:g} → {record['compressed']['per_second']:g} rows/s).",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, each: Mapping[str, Any]) -> str:
    figures = [each["score"], each["ece"], each["worst_slice"]]
    shown = ["–" if value is None else f"{value:.4f}" for value in figures]
    size = f"{each['bytes'] / _MEGABYTE:.2f}"
    return f"| {name} | {' | '.join(shown)} | {each['parameters']:,} | {size} |"
