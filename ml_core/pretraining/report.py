"""The report of a recipe: what each stage found and how it got there, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ml_core.evaluation.markdown import cell
from ml_core.pretraining.recipe_file import Recipe
from ml_core.pretraining.records import StageRecord

MARKDOWN = "REPORT.md"
JSON = "report.json"
_POINTS = 12
_NOT_SHOWN = {"weights", "kind", "headline"}


def write_report(recipe: Recipe, records: Sequence[StageRecord]) -> None:
    """Write ``REPORT.md`` and ``report.json`` of the stages that are done into the recipe's directory."""
    directories = {stage.name: str(stage.output) for stage in recipe.stages}
    values = {
        "name": recipe.name,
        "stages": len(recipe.stages),
        "done": [
            asdict(record) | {"output": directories[record.name], "tokens_seen": record.tokens_seen}
            for record in records
        ],
    }
    recipe.out.mkdir(parents=True, exist_ok=True)
    _replace(recipe, JSON, json.dumps(values, ensure_ascii=False, indent=1) + "\n")
    lines = [f"# {recipe.name}", "", f"{len(records)} of {len(recipe.stages)} stages are done.", ""]
    for record in records:
        lines += _stage(record, directories[record.name])
    _replace(recipe, MARKDOWN, "\n".join(lines))


def _stage(record: StageRecord, output: str) -> list[str]:
    seen = "" if record.tokens_seen is None else f", {record.tokens_seen:,} tokens read"
    figures = {
        key: value
        for key, value in record.figures.items()
        if key not in _NOT_SHOWN and isinstance(value, (int, float, str, list))
    }
    return [
        f"## {record.name}",
        "",
        f"{record.kind}, {record.seconds / 60:.1f} minutes{seen}; in `{output}`",
        "",
        *(["| figure | value |", "|---|---:|"] if figures else []),
        *(f"| {cell(key)} | {_shown(value)} |" for key, value in figures.items()),
        "",
        *_curve(record.curve),
    ]


def _curve(points: Sequence[dict[str, Any]]) -> list[str]:
    """A table of a few points of the loss, and of all evaluations."""
    losses = [point for point in points if "loss" in point]
    step = max(1, len(losses) // _POINTS)
    shown = [*losses[::step], *(losses[-1:] if (len(losses) - 1) % step else [])]
    shown += [point for point in points if "metrics" in point]
    if not shown:
        return []
    shown.sort(key=lambda point: (point["step"], "metrics" in point))
    rows = [
        f"| {point['step']:,} | {point['epoch']:g} | {point['seconds'] / 60:.1f} | "
        f"{_shown(point.get('loss', ''))} | {_metrics(point.get('metrics'))} |"
        for point in shown
    ]
    return [
        "| step | epoch | minutes | training loss | validation |",
        "|---:|---:|---:|---:|---|",
        *rows,
        "",
    ]


def _metrics(metrics: dict[str, float] | None) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in (metrics or {}).items())


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else cell(value)


def _replace(recipe: Recipe, name: str, text: str) -> None:
    half = recipe.out / f"{name}.half"
    half.write_text(text, encoding="utf-8")
    half.rename(recipe.out / name)
