"""How good the monitor's models are on public data, each trained as the application trains, beside published figures.

At most 30 million parameters. Rows are in the order of what they cost; the last ones take most of an hour on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.finance.model_data import load
from bench.harness import Column, Progress, Row
from bench.training.data import Split
from bench.training.recipes import shipped
from bench.training.runs import train_and_test

COLUMNS = (
    Column("data", "data"),
    Column("task", "task"),
    Column("base", "base"),
    Column("trained", "rows trained on", ",d"),
    Column("tested", "tested on", ",d"),
    Column("figure", "figure"),
    Column("value", "value", ".3f"),
    Column("low", "95 % from", ".3f"),
    Column("high", "to", ".3f"),
    Column("published", "published"),
    Column("seconds", "training", ".0f s"),
)
NOTES = (
    "Models: published figures are of models four to fifteen times as large (BERT-base and up), on splits of their own "
    "where the data has none; ours keep equal texts in one part.",
    "FinFE: 1,107 of its 2,020 published test texts are in its training part; here a text is in one part, once.",
    "FinEntity, spans given, asks for the sentiment alone; spans found is what its paper counts (micro-F1).",
)


@dataclass(frozen=True)
class Line:
    """A measurement: the rows, the task and settings, and of each figure the published one."""

    title: str
    task: str
    base: str
    figures: dict[str, str | None]
    options: dict[str, Any] = field(default_factory=dict)


_SPANS: dict[str, Any] = {"epochs": 5, "max_length": 96, "weight_averaging": "ema"}
_LINES: dict[str, Line] = {
    "fiqa": Line(
        "FiQA targets",
        "span-classification",
        "packaged",
        {
            "weighted_f1": "FinBERT .596, GPT-4 .630, FinGPT-13B .874 (whole text, another split)",
            "accuracy": None,
        },
        {**_SPANS, "epochs": 8},
    ),
    "finentity": Line(
        "FinEntity, spans given",
        "span-classification",
        "packaged",
        {"accuracy": None, "macro_f1": None},
        {**_SPANS, "epochs": 8, "max_length": 256},
    ),
    "finentity-found": Line(
        "FinEntity, spans found",
        "token-classification",
        "packaged",
        {"f1": "GPT-3.5 .59, FinBERT-CRF .84, DeBERTa-CRF .89"},
        {"epochs": 10, "learning_rate": 5e-4, "max_length": 256},
    ),
    "sentfin": Line(
        "SEntFiN",
        "span-classification",
        "packaged",
        {"accuracy": "RoBERTa, FinBERT .943", "macro_f1": "RoBERTa .933"},
        _SPANS,
    ),
    "finfe": Line(
        "FinFE, split anew",
        "text-classification",
        "rootstock-mini",
        {"accuracy": None, "macro_f1": None},
        {"epochs": 3, "max_length": 64, "head_start": "fitted", "weight_averaging": "ema"},
    ),
    "finer-ord": Line(
        "FiNER-ORD", "token-classification", "packaged", {"f1": None}, shipped("finer_ord")
    ),
    "cluener": Line(
        "CLUENER",
        "token-classification",
        "rootstock-mini",
        {"f1": "BERT-base .788, RoBERTa-large .804, people .634"},
        {"epochs": 5, "learning_rate": 5e-4, "max_length": 64},
    ),
    "finnl": Line(
        "FinNL, split anew",
        "multi-label-classification",
        "rootstock-mini",
        {"micro_f1": None, "macro_f1": None},
        {"epochs": 4, "max_length": 128},
    ),
    "reuters": Line(
        "Reuters ModApte, ten topics",
        "text-classification",
        "packaged",
        {
            "accuracy": None,
            "macro_f1": None,
            "weighted_f1": "SVM .92 (micro, several topics a text)",
        },
        {"epochs": 3, "max_length": 128},
    ),
}


def configurations() -> list[dict[str, Any]]:
    """One a data set, with its settings, so that a row is measured again when they change."""
    return [
        {"data": name, "base": line.base, "options": line.options} for name, line in _LINES.items()
    ]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The figures of one model on its test part."""
    name = configuration["data"]
    line, split = _LINES[name], load(name)
    progress(f"{line.title}: {len(split.train):,} rows")
    options = {"base": line.base, **line.options, "task": line.task}
    outcome = train_and_test(options, split, progress)
    shared = {
        "data": line.title,
        "task": line.task,
        "base": line.base,
        "trained": len(split.train),
        "tested": tested(split),
        "seconds": outcome.seconds,
    }
    return [
        {
            **shared,
            "figure": figure,
            "value": outcome.report[figure],
            **_interval(outcome.report, figure),
            "published": published,
        }
        for figure, published in line.figures.items()
    ]


def tested(split: Split) -> int:
    """How many answers are judged: spans where there are some, else rows."""
    return sum(len(row["spans"]) if "spans" in row else 1 for row in split.test)


def _interval(report: dict[str, Any], figure: str) -> dict[str, float]:
    low, high = report["intervals"].get(figure, (None, None))
    return {} if low is None else {"low": low, "high": high}
