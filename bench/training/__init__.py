"""What fine-tuning reaches: intents, finance sentiment, topics, with each method on and off, and what it costs.

Rows are kept until their settings change or `--fresh` is given: a training takes minutes to hours, so an edit elsewhere
in the code does not throw them away. Each row names the commit it was measured at.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from bench.harness import Column, Progress, Row, Section, commit
from bench.training import measures
from bench.training.measures import CHOICES, SEARCH
from bench.training.recipes import EFFICIENT, ON, ON_UNLABELLED, ON_VALIDATED

_SEEDS = 3
_FEW_SEEDS = 5
_FOLDS = 5


def configurations() -> list[dict[str, Any]]:
    """One training each, cheap lines first."""
    found: list[dict[str, Any]] = []
    found += [
        {"line": "few-shot", "shots": shots, "texts": texts, "seed": seed}
        for shots in (10, 5)
        for texts in (True, False)
        for seed in range(_FEW_SEEDS)
    ]
    found += [{"line": "full"}, {"line": "clinc"}]
    found += [
        {"line": "phrasebank", "agreement": "50Agree", "fold": fold} for fold in range(_FOLDS)
    ]
    found += [
        {"line": "phrasebank", "agreement": "AllAgree", "fold": fold} for fold in range(_FOLDS)
    ]
    found += [
        {"line": "topics", "data": data, "weights": weights}
        for data in ("bbc", "reuters")
        for weights in ("pretrained", "random")
    ]
    found += [{"line": "entities", "data": name} for name in ("wnut17", "finer-ord")]
    found += [{"line": "images"}, {"line": "dialogues"}]
    found += [
        {"line": "efficient", "method": method, "seed": seed}
        for method in EFFICIENT
        for seed in range(_SEEDS)
    ]
    found += [{"line": "continual", "way": way} for way in ("joint", "naive", "replay")]
    found += [
        {"line": "method", "method": method, "seed": seed}
        for method in ("plain", *ON, *ON_UNLABELLED, *ON_VALIDATED, *CHOICES, SEARCH)
        for seed in range(_SEEDS)
    ]
    found.append({"line": "prompt", "seeds": _SEEDS})
    found += [{"line": "time", "peer": peer} for peer in ("rootstock", "trainer", "setfit")]
    return found


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The rows of one training."""
    rows = measures.LINES[configuration["line"]](configuration, progress)
    return [{"commit": commit(), **row} for row in rows]


def summarise(rows: list[Row]) -> list[Row]:
    """One row for each measured thing: the mean over its seeds or folds, with the standard deviation."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["data"], row["what"], row["figure"]].append(row)
    found = []
    for (data, what, figure), own in groups.items():
        values = [row["value"] for row in own if row["value"] is not None]
        summary = {
            "data": data,
            "what": what,
            "figure": figure,
            "value": statistics.mean(values) if values else None,
            "deviation": statistics.stdev(values) if len(values) > 1 else None,
            "runs": len(own),
            "commit": own[-1]["commit"],
        }
        for key in ("aim", "published", "trained_share", "peak_mb", "seconds"):
            given = [row[key] for row in own if row.get(key) is not None]
            if given:
                numeric = all(isinstance(value, int | float) for value in given)
                summary[key] = statistics.mean(given) if numeric else given[-1]
        found.append(summary)
    return found


SECTION = Section(
    name="training",
    title="Fine-tuning: what is reached, beside published figures, and what it costs",
    columns=(
        Column("data", "data"),
        Column("what", "what"),
        Column("figure", "figure"),
        Column("value", "value", ".4f"),
        Column("deviation", "± runs", ".4f"),
        Column("runs", "runs"),
        Column("aim", "aim"),
        Column("published", "published"),
        Column("trained_share", "trained %", ".2f"),
        Column("peak_mb", "peak MB", ".0f"),
        Column("seconds", "seconds", ".0f"),
        Column("commit", "commit"),
    ),
    configurations=configurations,
    measure=measure,
    sources=(),
    summarise=summarise,
    notes=(
        "Published figures are recalled from the papers; none of them used this machine or this base.",
        "Test parts are read once, after the settings were fixed on training or validation rows.",
    ),
    packages=("torch", "transformers", "peft", "setfit"),
)
